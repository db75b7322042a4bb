// The part of @aws-appsync/utils that a resolver without DynamoDB, RDS or OpenSearch can use.
// https://docs.aws.amazon.com/appsync/latest/devguide/built-in-util-js.html

const natives = globalThis._natives;
delete globalThis._natives;

class ResolverError {
  constructor(message, errorType, data, errorInfo, unauthorized) {
    this.failure = failure(message, errorType, data, errorInfo);
    this.unauthorized = unauthorized;
  }
}

class EarlyReturn {
  constructor(value, skipTo) {
    this.value = value;
    this.skipTo = skipTo;
  }
}

let appended = [];

function failure(message, errorType, data, errorInfo) {
  return {
    message: String(message ?? ''),
    errorType: errorType === undefined || errorType === null ? null : String(errorType),
    data: data ?? null,
    errorInfo: errorInfo ?? null,
  };
}

export function _call(handler, text) {
  const ctx = JSON.parse(text);
  ctx.args = ctx.arguments;
  ctx.stash ??= {};
  appended = [];
  let value = null;
  let early = null;
  let thrown = null;
  try {
    value = handler(ctx) ?? null;
  } catch (error) {
    if (error instanceof EarlyReturn) {
      early = { value: error.value ?? null, skipTo: error.skipTo };
    } else if (error instanceof ResolverError) {
      thrown = { ...error.failure, unauthorized: error.unauthorized };
    } else {
      natives.log(`${error}\n${error?.stack ?? ''}`);
      thrown = { ...failure('Runtime Error', 'Code'), unauthorized: false };
    }
  }
  return JSON.stringify({ value, early, thrown, appended, stash: ctx.stash ?? {} });
}

const pad = (number, length) => String(number).padStart(length, '0');

// The letters of java.time's patterns that a timestamp needs; UTC only.
function format(milliseconds, pattern, timezone) {
  if (timezone !== undefined && !['UTC', 'Z', 'GMT'].includes(timezone)) {
    throw new Error(`time zone ${timezone} is not supported here`);
  }
  const date = new Date(milliseconds);
  const parts = {
    yyyy: pad(date.getUTCFullYear(), 4),
    MM: pad(date.getUTCMonth() + 1, 2),
    dd: pad(date.getUTCDate(), 2),
    HH: pad(date.getUTCHours(), 2),
    mm: pad(date.getUTCMinutes(), 2),
    ss: pad(date.getUTCSeconds(), 2),
    SSS: pad(date.getUTCMilliseconds(), 3),
    XXX: 'Z',
    X: 'Z',
    Z: '+0000',
  };
  return pattern.replace(/'([^']*)'|yyyy|MM|dd|HH|mm|ss|SSS|XXX|X|Z|[A-Za-z]+/g, (part, literal) => {
    if (literal !== undefined) return literal;
    if (!(part in parts)) throw new Error(`pattern ${part} is not supported here`);
    return parts[part];
  });
}

export const util = {
  error(message, errorType, data, errorInfo) {
    throw new ResolverError(message, errorType, data, errorInfo, false);
  },
  appendError(message, errorType, data, errorInfo) {
    appended.push(failure(message, errorType, data, errorInfo));
  },
  unauthorized() {
    throw new ResolverError('', 'Unauthorized', null, null, true);
  },
  autoId: () => natives.uuid(),
  base64Encode: (text) => natives.base64Encode(text),
  base64Decode: (text) => natives.base64Decode(text) ?? null,
  urlEncode: (text) => encodeURIComponent(text).replace(/%20/g, '+'),
  urlDecode: (text) => decodeURIComponent(text.replace(/\+/g, '%20')),
  matches: (pattern, text) => new RegExp(pattern).test(text),
  time: {
    nowISO8601: () => new Date().toISOString(),
    nowEpochSeconds: () => Math.floor(Date.now() / 1000),
    nowEpochMilliSeconds: () => Date.now(),
    nowFormatted: (pattern, timezone) => format(Date.now(), pattern, timezone),
    parseISO8601ToEpochMilliSeconds: (text) => Date.parse(text),
    epochMilliSecondsToSeconds: (milliseconds) => Math.floor(milliseconds / 1000),
    epochMilliSecondsToISO8601: (milliseconds) => new Date(milliseconds).toISOString(),
    epochMilliSecondsToFormatted: (milliseconds, pattern, timezone) => format(milliseconds, pattern, timezone),
  },
};

export const runtime = {
  earlyReturn(value, options) {
    throw new EarlyReturn(value, options?.skipTo ?? 'NEXT');
  },
};

globalThis.console = {
  log: (...values) =>
    natives.log(values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(' ')),
};
globalThis.console.error = globalThis.console.log;
globalThis.console.warn = globalThis.console.log;
