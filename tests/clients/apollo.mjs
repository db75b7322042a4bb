// An app built on Apollo Client with the AppSync links, as it ships but for the endpoint.
import { run, settings } from "./client.mjs";

const { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } = await import("@apollo/client");
const { createAuthLink } = await import("aws-appsync-auth-link");
const { CONTROL_EVENTS_KEY, createSubscriptionHandshakeLink } = await import("aws-appsync-subscription-link");
const { filter } = await import("rxjs");

// The AppSync link tells that a subscription stands by a result without data, which Apollo itself would swallow.
const hearWhenConnected = new ApolloLink((operation, forward) =>
  forward(operation).pipe(
    filter((result) => {
      const connected = result.extensions?.controlMsgType === "CONNECTED";
      if (connected) operation.getContext().subscribed();
      return !connected;
    }),
  ),
);

const appsync = { url: settings.endpoint, region: "eu-central-1", auth: { type: "AWS_LAMBDA", token: settings.token } };
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.from([
    hearWhenConnected,
    createAuthLink(appsync),
    createSubscriptionHandshakeLink(appsync, new HttpLink({ uri: settings.endpoint })),
  ]),
});

await run({
  query: async (query, variables) => (await client.query({ query: gql(query), variables })).data,
  subscribe: (query, variables, { subscribed, next, error }) => {
    const context = { subscribed, controlMessages: { [CONTROL_EVENTS_KEY]: true } };
    return client.subscribe({ query: gql(query), variables, context }).subscribe({
      // A refusal comes as a result, not by way of `error`.
      next: (result) => (result.error ? error(result.error) : next(result.data)),
      error,
    });
  },
});
