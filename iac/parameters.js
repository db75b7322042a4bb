// What one deployment takes from the one before, for the Makefile:
//   node iac/parameters.js application OUTPUTS   the foundation's outputs as parameters of template.yaml
//   node iac/parameters.js edge OUTPUTS          the application's outputs as parameters of the edge
// OUTPUTS: the file of `cdk deploy --outputs-file`, or `sam list stack-outputs --output json`.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** `{stack: {name: value}}`: the foundation's only stack. */
export function application(outputs, now = Date.now()) {
  const { RedisUrl, RedisSecretArn, ...rest } = Object.values(outputs)[0];
  // CloudFormation reads the password where the parameter is used: it is in no output, file or command line.
  const password = `{{resolve:secretsmanager:${RedisSecretArn}:SecretString}}`;
  const aYear = 365 * 24 * 3600;
  return {
    ...rest,
    RedisUrl: RedisUrl.replace("rediss://", `rediss://:${password}@`),
    ApiKeyExpires: String(Math.floor(now / 1000) + aYear - 24 * 3600),
  };
}

/** `[{OutputKey, OutputValue}]` */
export function edge(outputs) {
  const url = new URL(outputs.find(({ OutputKey }) => OutputKey === "OcppUrl").OutputValue);
  return { OcppApiHost: url.hostname, OcppApiStage: url.pathname.slice(1) };
}

/** A word a line. The CDK takes each after a flag; without a stack's name they are for the one that is deployed. */
export function lines(which, parameters) {
  const flag = which === "edge" ? ["--parameters"] : [];
  return Object.entries(parameters).flatMap(([name, value]) => [...flag, `${name}=${value}`]);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [which, file] = process.argv.slice(2);
  const parameters = { application, edge }[which](JSON.parse(readFileSync(file, "utf8")));
  for (const line of lines(which, parameters)) {
    console.log(line);
  }
}
