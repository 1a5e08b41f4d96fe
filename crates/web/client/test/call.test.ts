// Owns that a single call is one request, and that a refusal is told from a server that wasn't reached.
import { afterEach, expect, it, vi } from "vitest";
import { callOnce } from "../src/call.ts";
import { ActionError } from "../src/pending.ts";

const URL = "http://host/v2/call";

afterEach(() => vi.unstubAllGlobals());

function answering(body: string): ReturnType<typeof vi.fn<typeof fetch>> {
  const fetching = vi.fn<typeof fetch>(() => Promise.resolve(new Response(body)));
  vi.stubGlobal("fetch", fetching);
  return fetching;
}

it("sends the action with its parameters and gives back the event", async () => {
  const fetching = answering('{"event":"access_found","access_type":"session"}');
  const event = await callOnce(URL, "describe_access", { access_key: "k" });
  expect(event).toMatchObject({ event: "access_found", access_type: "session" });
  const [url, request] = fetching.mock.calls[0]!;
  expect([url, request?.method]).toEqual([URL, "POST"]);
  expect(JSON.parse(request?.body as string)).toEqual({ action: "describe_access", access_key: "k" });
});

it("rejects with what the server said", async () => {
  answering('{"event":"error","error_type":"access_expired","error_reason":"why"}');
  const call = callOnce(URL, "describe_access", { access_key: "k" });
  await expect(call).rejects.toEqual(new ActionError("access_expired", "why"));
});

it.each(["<html>Bad gateway</html>", ""])("an answer that isn't the server's is no refusal: %s", async (body) => {
  answering(body);
  const error: unknown = await callOnce(URL, "describe_access", { access_key: "k" }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(ActionError);
});
