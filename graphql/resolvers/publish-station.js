// `publishStationUpdate` on the NONE data source: the event bus says it, subscribers hear it, nothing is stored.
export function request(ctx) {
  return { payload: { ...ctx.args.input, type: 'connector_status_update' } };
}

export function response(ctx) {
  return ctx.result;
}
