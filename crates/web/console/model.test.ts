// Owns that the console changes its session on demand, and learns whether that worked.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ScriptedSocket, useScriptedSocket } from "../client/test/scripted-socket.ts";

beforeEach(() => {
  useScriptedSocket();
  vi.stubGlobal("location", { origin: "http://host" });
  vi.resetModules();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const created = { event_id: 1, session_id: "s1", user_id: "me", user_attrs: { name: "Gwen" } };

it("a session that was asked for is there when the promise says so", async () => {
  const { currentUser, joinByKey, openSession } = await import("./model.ts");
  const opening = openSession({ user_attrs: { name: "Gwen" } });
  ScriptedSocket.latest.accept();
  expect(ScriptedSocket.latest.named("create_session")[0]).toMatchObject({ user_attrs: { name: "Gwen" } });
  expect(currentUser.value).toBeNull();
  ScriptedSocket.latest.event("session_created", created);
  await opening;
  expect(currentUser.value?.attrs.name).toBe("Gwen");

  const joining = joinByKey("00key");
  const [join] = ScriptedSocket.latest.named("join_channel");
  expect(join).toMatchObject({ access_key: "00key" });
  const joined = { event_id: 2, action_id: join!.action_id, channel_id: "c1", channel_attrs: { name: "Room" } };
  ScriptedSocket.latest.event("channel_joined", joined);
  expect(await joining).toBe("c1");
});

it("another session closes the one before", async () => {
  const { currentUser, openSession } = await import("./model.ts");
  void openSession({ user_attrs: { name: "Gwen" } });
  const first = ScriptedSocket.latest;
  first.accept();
  first.event("session_created", created);
  void openSession({ access_key: "00key" });
  expect(first.named("close_session")).toHaveLength(1);
  expect(currentUser.value).toBeNull();
  ScriptedSocket.latest.accept();
  expect(ScriptedSocket.latest.named("create_session")[0]).toMatchObject({ access_key: "00key" });
});

it("a refused session tells why", async () => {
  const { currentUser, openSession } = await import("./model.ts");
  const opening = openSession({ access_key: "guessed" });
  ScriptedSocket.latest.accept();
  ScriptedSocket.latest.event("error", { error_type: "access_denied" });
  await expect(opening).rejects.toMatchObject({ type: "access_denied" });
  expect(currentUser.value).toBeNull();
});
