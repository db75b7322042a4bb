// What both programs share: their settings, the operations an app sends, and the JSON lines that tests wait on.
import { parseArgs } from "node:util";
import WebSocket from "ws";

// Node 20 has none of its own, and without one Amplify waits for ever.
globalThis.WebSocket = WebSocket;

const { values } = parseArgs({
  options: {
    endpoint: { type: "string", default: process.env.ENDPOINT ?? "https://localhost:4443/graphql" },
    token: { type: "string", default: process.env.TOKEN },
    station: { type: "string", default: process.env.STATION_ID },
    session: { type: "string", default: process.env.SESSION_ID },
    events: { type: "string", default: process.env.EVENTS ?? "1" },
    timeout: { type: "string", default: process.env.TIMEOUT_SECONDS ?? "30" },
  },
});
if (!values.token) {
  console.error("a token is needed: --token or TOKEN");
  process.exit(2);
}

export const settings = {
  endpoint: values.endpoint,
  token: values.token,
  stationId: values.station,
  sessionId: values.session,
  /** Exit after this many states. */
  events: Number(values.events),
  timeoutMs: Number(values.timeout) * 1000,
};

export const ME = /* GraphQL */ `
  query Me {
    me { id email name roles walletBalance { amount currency } vehicles { id brand model batteryCapacity } }
  }
`;
export const GET_STATION = /* GraphQL */ `
  query GetStation($id: ID!) {
    getStation(id: $id) {
      id name address latitude longitude status controlled
      connectors { id connectorNumber type powerKW quantity status }
    }
  }
`;
export const ON_SESSION_STATUS_CHANGED = /* GraphQL */ `
  subscription OnSessionStatusChanged($sessionId: ID!) {
    onSessionStatusChanged(sessionId: $sessionId) { sessionId stationId status energyKWh reason timestamp }
  }
`;

export function tell(event, fields = {}) {
  console.log(JSON.stringify({ event, ...fields }));
}

/** Errors come as Error, `{errors: [..]}`, or wrapped with what the server said as their cause: the same line for all. */
export function tellError(error) {
  const errors = error?.errors ?? error?.cause?.errors ?? [error];
  tell("error", {
    errors: errors.map((each) => ({
      message: each?.message ?? String(each),
      errorType: each?.errorType ?? each?.extensions?.errorType,
      errorInfo: each?.errorInfo ?? undefined,
      path: each?.path,
    })),
  });
}

/** The whole program: the two queries, then the subscription until enough states came. Exit status 1: an error or too late. */
export async function run({ query, subscribe }) {
  const late = setTimeout(() => {
    tell("timeout", { seconds: settings.timeoutMs / 1000 });
    process.exit(1);
  }, settings.timeoutMs);
  try {
    tell("me", { data: await query(ME) });
    if (settings.stationId) {
      tell("station", { data: await query(GET_STATION, { id: settings.stationId }) });
    }
    if (settings.sessionId) {
      await states(subscribe);
    }
  } catch (error) {
    tellError(error);
    process.exitCode = 1;
  }
  clearTimeout(late);
  tell("done");
  // Both libraries keep their socket for a second more, in case of another subscription.
  process.exit();
}

function states(subscribe) {
  return new Promise((resolve, reject) => {
    let left = settings.events;
    const subscription = subscribe(
      ON_SESSION_STATUS_CHANGED,
      { sessionId: settings.sessionId },
      {
        subscribed: () => tell("subscribed"),
        next: (data) => {
          tell("data", { data });
          left -= 1;
          if (left === 0) {
            subscription.unsubscribe();
            resolve();
          }
        },
        error: reject,
      },
    );
  });
}
