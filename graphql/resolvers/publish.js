// `publishSessionStatus` on the NONE data source: the event bus says it, subscribers hear it, nothing is stored.
export function request(ctx) {
  return { payload: ctx.args.input };
}

export function response(ctx) {
  return ctx.result;
}
