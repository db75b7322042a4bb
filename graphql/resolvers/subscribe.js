// A subscription that every caller whom the schema lets through may have: the field's arguments are its filter.
export function request() {
  return { payload: null };
}

export function response() {
  return null;
}
