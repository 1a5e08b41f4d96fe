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

/** An agent in a conversation from a queue, whose settings these are. */
async function serving(queue_settings: object) {
  const model = await import("./model.ts");
  void model.openSession({ user_attrs: { name: "Gwen" } });
  const socket = ScriptedSocket.latest;
  socket.accept();
  socket.event("session_created", { ...created, user_queues: { q1: { queue_attrs: { name: "Help" }, realm_id: "r1" } } });
  socket.event("queue_found", { event_id: 2, queue_id: "q1", queue_attrs: { name: "Help" }, queue_settings, realm_id: "r1" });
  const channel_members = { me: { user_attrs: {}, member_attrs: { operator: true } } };
  const channel_attrs = { queue_id: "q1", audience_id: "a1" };
  socket.event("channel_joined", { event_id: 3, channel_id: "c1", channel_attrs, channel_members });
  return { ...model, socket, conversation: () => model.state.value.conversations.c1! };
}

it("only queues that the settings name, in the shape that they should have, are offered", async () => {
  const { socket, transferIds, conversation } = await serving({});
  expect(transferIds(conversation())).toEqual([]);
  let event_id = 3;
  const set = (transfer_queue_ids: unknown) => {
    socket.event("queue_updated", { event_id: (event_id += 1), queue_id: "q1", queue_attrs: {}, queue_settings: { transfer_queue_ids } });
    return transferIds(conversation());
  };
  expect(set(["q2", 5, "q1"])).toEqual(["q2"]);
  expect(set("q2")).toEqual([]);
  // Who only looks on can't transfer anybody.
  set(["q2"]);
  socket.event("channel_member_updated", { event_id: 9, channel_id: "c1", user_id: "me", member_attrs: {} });
  expect(transferIds(conversation())).toEqual([]);
});

it("a queue that the agent doesn't serve is asked for, and a transfer says where it went", async () => {
  const { socket, conversation, describeTransferTargets, news, state, transfer } = await serving({ transfer_queue_ids: ["q2"] });
  vi.stubGlobal("document", { getElementById: () => null });
  const describing = describeTransferTargets(conversation());
  const [asked] = socket.named("describe_realm_queues");
  expect(asked).toMatchObject({ realm_id: "r1", queue_ids: ["q2"] });
  const realm_queues = { q2: { queue_attrs: { name: "Orders", length: 2 } } };
  socket.event("realm_queues_found", { event_id: 6, action_id: asked!.action_id, realm_id: "r1", realm_queues });
  await describing;
  const target = state.value.queues.q2!;
  expect(target).toMatchObject({ member: false, attrs: { name: "Orders", length: 2 } });

  const refused = transfer(conversation(), "Ann", target);
  const answer = () => ({ action_id: socket.named("transfer_audience").at(-1)!.action_id });
  expect(socket.named("transfer_audience")[0]).toMatchObject({ audience_id: "a1", queue_id: "q2" });
  socket.event("error", { ...answer(), error_type: "permission_denied" });
  expect(await refused).toContain("can't be transferred there");
  expect(news.value).toBeNull();

  const done = transfer(conversation(), "Ann", target);
  socket.event("channel_parted", { event_id: 7, ...answer(), channel_id: "c1", event_cause: "audience_transfer" });
  expect(await done).toBeNull();
  expect(news.value).toBe("Ann now waits in Orders");
  expect(state.value.conversations).toEqual({});
});
