// What one deployment takes from the one before, for the Makefile:
//   node iac/parameters.js application OUTPUTS   the foundation's outputs as parameters of template.yaml
//   node iac/parameters.js edge OUTPUTS OUTPUTS  the application's and the foundation's as parameters of the edge
// OUTPUTS: the foundation's by `cdk deploy --outputs-file`, the application's by `sam list stack-outputs --output json`.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** `{stack: {name: value}}`: the foundation's only stack. */
export function application(outputs, now = Date.now()) {
  const { RedisUrl, RedisSecretArn, EdgeKeySecretArn, ...rest } = Object.values(outputs)[0];
  // CloudFormation reads secrets where the parameters are used: they are in no output, file or command line.
  const secret = (arn) => `{{resolve:secretsmanager:${arn}:SecretString}}`;
  const aYear = 365 * 24 * 3600;
  return {
    ...rest,
    RedisUrl: RedisUrl.replace("rediss://", `rediss://:${secret(RedisSecretArn)}@`),
    EdgeKey: secret(EdgeKeySecretArn),
    ApiKeyExpires: String(Math.floor(now / 1000) + aYear - 24 * 3600),
  };
}

/** `[{OutputKey, OutputValue}]` of the application, and what `application` takes */
export function edge(outputs, foundation) {
  const url = (name) => new URL(outputs.find(({ OutputKey }) => OutputKey === name).OutputValue);
  const { EdgeKeySecretArn } = Object.values(foundation)[0];
  return {
    OcppApiHost: url("OcppUrl").hostname,
    OcppApiStage: url("OcppUrl").pathname.slice(1),
    LiveApiHost: url("LiveUrl").hostname,
    HttpApiHost: url("HttpUrl").hostname,
    // Its replica, which has the same name.
    EdgeKeyArn: EdgeKeySecretArn.replace(/^(arn:[^:]+:secretsmanager):[^:]+:/, "$1:us-east-1:"),
  };
}

/** A word a line. The CDK takes each after a flag; without a stack's name they are for the one that is deployed. */
export function lines(which, parameters) {
  const flag = which === "edge" ? ["--parameters"] : [];
  return Object.entries(parameters).flatMap(([name, value]) => [...flag, `${name}=${value}`]);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [which, ...files] = process.argv.slice(2);
  const parameters = { application, edge }[which](...files.map((file) => JSON.parse(readFileSync(file, "utf8"))));
  for (const line of lines(which, parameters)) {
    console.log(line);
  }
}
