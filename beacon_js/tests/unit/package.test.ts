import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { BUDGETS_BYTES } from "../../scripts/budgets.ts";

const ROOT = new URL("../../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8"));

describe("each file stays within its budget", () => {
  for (const [file, budget] of Object.entries(BUDGETS_BYTES))
    test(file, () => {
      const { length } = gzipSync(readFileSync(new URL(`dist/${file}`, ROOT)), { level: 9 });
      assert.ok(length <= budget, `${file}: expected at most ${budget} B after gzip, got ${length} B`);
    });
});

test("the README states the sizes that the files have", () => {
  const readme = readFileSync(new URL("README.md", ROOT), "utf8");
  for (const file of Object.keys(BUDGETS_BYTES)) {
    const { length } = gzipSync(readFileSync(new URL(`dist/${file}`, ROOT)), { level: 9 });
    const row = `| \`${file}\` | ${(length / 1000).toFixed(1)} kB |`;
    assert.ok(readme.replace(/ +/g, " ").includes(row), `README.md: expected the row ${row}`);
  }
});

test("every file that the manifest names is there", () => {
  const named = Object.values<string | Record<string, string>>(manifest.exports).flatMap((entry) =>
    typeof entry === "string" ? entry : Object.values(entry),
  );
  for (const file of [...named, manifest.unpkg, manifest.jsdelivr]) assert.ok(existsSync(new URL(file, ROOT)), file);
});

test("the package has no runtime dependencies", () => {
  assert.equal(manifest.dependencies, undefined);
});

test("importing the package and creating a beacon is harmless on a server", async () => {
  const { createBeacon } = await import(new URL("dist/index.js", ROOT).href);
  await import(new URL("dist/auto.js", ROOT).href);
  const errors: unknown[] = [];
  const beacon = createBeacon({ url: "http://127.0.0.1:9/", onError: (error: unknown) => errors.push(error) });
  const answer = await beacon.fetch("data:text/plain,hello");
  assert.equal(await answer.text(), "hello");
  assert.deepEqual(errors, []);
});
