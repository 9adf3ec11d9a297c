import assert from "node:assert/strict";
import { test } from "node:test";
import { idOf, isId, isSampled, newId } from "../../src/id.ts";

test("an id is 32 hexadecimal digits and never twice the same", () => {
  const ids = Array.from({ length: 1000 }, newId);
  assert.equal(new Set(ids).size, 1000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});

test("only ids that the wire takes are ids", () => {
  for (const good of ["12345678", "a_b-c_d-", "x".repeat(64)]) assert.ok(isId(good), good);
  for (const bad of [null, "", "1234567", "x".repeat(65), "12345678\n", "12345 78", "12345678é"]) assert.ok(!isId(bad));
});

test("a URL is given an id without touching the rest of it", () => {
  const url = new URL("https://host/path?q=a%20b&sig=%2F+#part");
  const id = idOf(url, "sid");
  assert.equal(url.href, `https://host/path?q=a%20b&sig=%2F+&sid=${id}#part`);
});

test("an id that a URL has is kept", () => {
  const url = new URL("https://host/?sid=given-by-page");
  assert.equal(idOf(url, "sid"), "given-by-page");
  assert.equal(url.href, "https://host/?sid=given-by-page");
});

test("sampling is 32-bit FNV-1a below share · 2³²", () => {
  // Published values: FNV-1a of "a" is 0xe40c292c, of "foobar" 0xbf9cf968.
  const share = (hash: number): number => hash / 2 ** 32;
  assert.ok(!isSampled("a", share(0xe40c292c)) && isSampled("a", share(0xe40c292d)));
  assert.ok(!isSampled("foobar", share(0xbf9cf968)) && isSampled("foobar", share(0xbf9cf969)));
});

test("every stream is in a sample of 1, none in a sample of 0, a quarter in one of ¼", () => {
  const ids = Array.from({ length: 4000 }, newId);
  assert.equal(ids.filter((id) => isSampled(id, 1)).length, 4000);
  assert.equal(ids.filter((id) => isSampled(id, 0)).length, 0);
  const quarter = ids.filter((id) => isSampled(id, 0.25)).length;
  // Six standard deviations of a fair draw.
  assert.ok(Math.abs(quarter - 1000) < 165, `${quarter}`);
});
