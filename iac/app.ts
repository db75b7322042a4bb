// The foundation of the service: what is deployed rarely and holds state. template.yaml, the application, is deployed
// on top of it and takes the first stack's outputs by parameter; the edge comes last, as it fronts the application.
//
// Settings, by `-c name=value`: stage, vpcCidr, natGateways, databaseInstance, cacheNode; atlasPeeringId with atlasCidr
// (the peering that MongoDB Atlas asked for); ocppDomain with ocppCertificateArn (in us-east-1); requestsPerMinutePerUser,
// requestsPerMinutePerAddress, machineRequestsPerMinutePerAddress.
import { App, Stack, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";

import { accept } from "./lib/accepted.ts";
import { Cache } from "./lib/cache.ts";
import { Database } from "./lib/database.ts";
import { Edge } from "./lib/edge.ts";
import { Network } from "./lib/network.ts";
import { publish } from "./lib/outputs.ts";
import { Secrets } from "./lib/secrets.ts";

const app = new App();
const named = app.node.tryGetContext("stage") ?? "prod";

const foundation = new Stack(app, "Foundation", {
  stackName: `ev-charging-foundation-${named}`,
  description: "EV charging: network, stores and secrets",
  terminationProtection: true,
});
const network = new Network(foundation, "Network");
const secrets = new Secrets(foundation, "Secrets");
const database = new Database(foundation, "Database", { network, key: secrets.key });
const cache = new Cache(foundation, "Cache", { network, key: secrets.key });
publish(foundation, { network, secrets, database, cache });

const edge = new Stack(app, "Edge", {
  stackName: `ev-charging-edge-${named}`,
  description: "EV charging: the address that chargers and apps dial",
  // Where all that is CloudFront's own lives: its certificates, its wall, its logs.
  env: { region: "us-east-1" },
});
new Edge(edge, "Edge");

accept(foundation, edge);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
