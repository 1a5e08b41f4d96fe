// Owns that each kind of access key is explained, and that failures are told apart.
import { afterEach, expect, it, vi } from "vitest";
import { ActionError } from "../client/src/index.ts";
import { describeAccess, explain, failure, passwordProblem, purposeOf, type AccessFound } from "./access.ts";

afterEach(() => vi.unstubAllGlobals());

const found = (access_type: string, more: Partial<AccessFound> = {}): AccessFound => ({
  event: "access_found",
  access_type,
  ...more,
});

const ann = { user_attrs: { name: "Ann" } };
const room = { channel_attrs: { name: "Room" }, realm_attrs: { name: "Acme" } };
const help = { queue_attrs: { name: "Help" }, realm_attrs: { name: "Acme" } };

it.each([
  ["verify", found("identity_verify", { identity_name: "a@b.c", ...ann }), ["a@b.c", "Ann"]],
  ["reset", found("identity_auth_reset", { identity_name: "a@b.c" }), ["a@b.c"]],
  ["join", found("channel", { ...ann, ...room, realm_member: true }), ["Ann", "Room", "Acme"]],
  ["join", found("channel"), ["Somebody", "a channel"]],
  ["session", found("session", ann), ["Ann"]],
  ["session", found("session"), []],
  ["session", found("audience", { ...ann, ...help }), ["Ann", "Help", "Acme"]],
  ["session", found("audience"), []],
])("a key to %s is explained by names: %o", (purpose, key, names) => {
  expect(purposeOf(key)).toBe(purpose);
  const { title, text } = explain(key);
  for (const name of names) expect(`${title} ${text}`).toContain(name);
  expect(`${title} ${text}`).not.toContain("undefined");
});

it("keys that were used, are too old or are unknown are told apart, and are not tried again", () => {
  const all = ["access_already_spent", "access_expired", "access_denied"].map((type) => failure(new ActionError(type)));
  expect(new Set(all.map(({ title }) => title)).size).toBe(3);
  expect(all.every(({ isFinal }) => isFinal)).toBe(true);
});

it("what may succeed later can be tried again, and the server's reason is shown", () => {
  const refused = failure(new ActionError("request_malformed", "identity_auth_new is too long"));
  expect(refused).toMatchObject({ isFinal: false });
  expect(refused.text).toContain("identity_auth_new is too long");
  expect(failure(new TypeError("Failed to fetch"))).toMatchObject({ isFinal: false });
  expect(failure(new TypeError("x")).title).not.toBe(refused.title);
});

it("a kind that the page doesn't know is refused", async () => {
  vi.stubGlobal("location", { origin: "http://host" });
  for (const [kind, type] of [["session", undefined], ["other", "unknown_kind"], ["toString", "unknown_kind"]]) {
    vi.stubGlobal("fetch", () => Promise.resolve(Response.json(found(kind!))));
    const outcome: unknown = await describeAccess("k").catch((error: unknown) => error);
    expect(outcome instanceof ActionError ? outcome.type : undefined).toBe(type);
  }
});

it("a password counts when it was typed twice alike", () => {
  expect(passwordProblem("secret", "secret")).toBeNull();
  expect(passwordProblem("secret", "secert")).not.toBeNull();
});
