// An app built on AWS Amplify, as it ships but for the endpoint. https only: Amplify turns http into wss all the same.
import { run, settings } from "./client.mjs";

const { Amplify } = await import("aws-amplify");
const { generateClient } = await import("aws-amplify/api");
const { Hub } = await import("aws-amplify/utils");

Amplify.configure({
  API: { GraphQL: { endpoint: settings.endpoint, region: "eu-central-1", defaultAuthMode: "lambda" } },
});
const client = generateClient({ authMode: "lambda", authToken: settings.token });

await run({
  query: async (query, variables) => (await client.graphql({ query, variables })).data,
  subscribe: (query, variables, { subscribed, next, error }) => {
    const stop = Hub.listen("api", ({ payload }) => {
      // The server's start_ack; Amplify's connection state turns to Connected before it.
      if (payload.event === "Subscription ack") {
        stop();
        subscribed();
      }
    });
    return client.graphql({ query, variables }).subscribe({ next: ({ data }) => next(data), error });
  },
});
