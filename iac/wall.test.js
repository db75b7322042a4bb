import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const INTO_ONE = ["COMPRESS_WHITE_SPACE", "LOWERCASE", "MD5"];

test("both walls count one token's requests together, however its header is written", () => {
  const [, regional] = read("../template.yaml").match(/CustomKeys:\n([^]*?)EvaluationWindowSec/);
  const transformed = [...regional.matchAll(/\{Priority: (\d), Type: (\w+)\}/g)];
  assert.deepEqual(transformed.map(([, priority, type]) => [Number(priority), type]), [...INTO_ONE.entries()]);
  const edge = read("lib/wall.ts");
  assert.ok(edge.includes(`ONE_SPELLING_DIGEST = ${JSON.stringify(INTO_ONE).replaceAll(",", ", ")}.map((type, priority)`));
  assert.match(edge, /name: "authorization", textTransformations: ONE_SPELLING_DIGEST/);
});
