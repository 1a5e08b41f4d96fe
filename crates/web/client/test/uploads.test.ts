// Owns that files are sent one after the other, go on after a lost connection, and fail visibly.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { maySendFiles, type Conversation } from "../src/state.ts";
import { fileIdOf, isWorthAnother } from "../src/tus.ts";
import { Uploads, type TransferEvents } from "../src/uploads.ts";
import { CHANNEL, chatInConversation, ScriptedSocket, useScriptedSocket } from "./scripted-socket.ts";

beforeEach(useScriptedSocket);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const settled = () => vi.advanceTimersByTimeAsync(0);

/** Carries files nowhere, and tells what it is told. */
class Carrying {
  readonly urls: string[] = [];
  readonly events: TransferEvents[] = [];
  readonly told: string[] = [];
  readonly load = () =>
    Promise.resolve((_file: Blob, url: string, events: TransferEvents) => {
      this.urls.push(url);
      this.events.push(events);
      return {
        start: () => this.told.push("start"),
        stop: (discard: boolean) => this.told.push(discard ? "discard" : "stop"),
      };
    });
}

async function sending(...names: string[]): Promise<{ uploads: Uploads; carrying: Carrying }> {
  const carrying = new Carrying();
  const uploads = new Uploads(await chatInConversation(), "https://host/widget.js", carrying.load);
  uploads.send("c1", names.map((name) => new File(["content"], name)));
  await settled();
  return { uploads, carrying };
}

async function allow(at = -1, url = `/upload/${at}`): Promise<void> {
  const { action_id } = ScriptedSocket.latest.named("levee_create_upload").at(at)!;
  ScriptedSocket.latest.event("levee_upload_created", { action_id, channel_id: "c1", upload_url: url, url_expiry: 1 });
  await settled();
}

const shown = ({ state }: Uploads) => state.value.map(({ name, phase, sent }) => `${name} ${phase} ${sent}`);

describe("files", () => {
  it("are announced by name and size, and go where the server says, one after the other", async () => {
    const { uploads, carrying } = await sending("a", "b");
    const asked = ScriptedSocket.latest.named("levee_create_upload");
    expect(asked).toMatchObject([{ channel_id: "c1", file_attrs: { name: "a", size: 7 } }]);
    await allow(0, "/upload/1");
    expect(carrying.urls).toEqual(["https://host/upload/1"]);
    carrying.events[0]!.progress(3);
    expect(shown(uploads)).toEqual(["a sending 3", "b queued 0"]);
    carrying.events[0]!.done("f1");
    await settled();
    expect(shown(uploads)).toEqual(["a finishing 3", "b sending 0"]);
    await allow(1, "https://other/upload/2");
    expect(carrying.urls[1]).toBe("https://other/upload/2");
  });

  it("wait for the connection, and go on at once when it is back", async () => {
    const { uploads, carrying } = await sending("a");
    await allow();
    carrying.events[0]!.waiting();
    expect(shown(uploads)).toEqual(["a waiting 0"]);
    uploads.nudge();
    expect(carrying.told).toEqual(["start", "stop", "start"]);
    carrying.events[0]!.progress(5);
    uploads.nudge();
    expect(carrying.told).toHaveLength(3);
  });

  it("go on as soon as the chat is back", async () => {
    const { uploads, carrying } = await sending("a");
    await allow();
    carrying.events[0]!.waiting();
    ScriptedSocket.latest.cut();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(carrying.told).toEqual(["start"]);
    ScriptedSocket.latest.accept();
    const { channel_attrs } = CHANNEL;
    const user = { user_id: "me", user_attrs: {}, user_channels: { c1: { channel_attrs } } };
    ScriptedSocket.latest.event("session_created", { event_id: 9, session_id: "s2", ...user });
    expect(carrying.told).toEqual(["start", "stop", "start"]);
    expect(uploads.isBusy).toBe(true);
  });

  it("that are cancelled are forgotten by the server too, and the next one begins", async () => {
    const { uploads, carrying } = await sending("a", "b", "c");
    await allow();
    uploads.cancel(2);
    uploads.cancel(1);
    await settled();
    expect(carrying.told).toEqual(["start", "discard"]);
    expect(shown(uploads)).toEqual(["c sending 0"]);
  });

  it("are all forgotten when whoever sends them leaves", async () => {
    const { uploads, carrying } = await sending("a", "b");
    await allow();
    uploads.close();
    await settled();
    expect(carrying.told).toEqual(["start", "discard"]);
    expect(shown(uploads)).toEqual([]);
    expect(ScriptedSocket.latest.named("levee_create_upload")).toHaveLength(1);
  });

  it("that are cancelled before they began aren't begun", async () => {
    const { uploads, carrying } = await sending("a");
    uploads.cancel(1);
    await allow();
    expect(carrying.urls).toEqual([]);
    expect(shown(uploads)).toEqual([]);
  });

  it("that failed don't hold up the next, and go on from where they were", async () => {
    const { uploads, carrying } = await sending("a", "b");
    await allow();
    carrying.events[0]!.failed({});
    await settled();
    expect(shown(uploads)).toEqual(["a failed 0", "b sending 0"]);
    await allow();
    carrying.events[1]!.done("f2");
    uploads.retry(1);
    await settled();
    expect(carrying.told).toEqual(["start", "start", "start"]);
    expect(ScriptedSocket.latest.named("levee_create_upload")).toHaveLength(2);
  });

  it("that the server refused begin anew", async () => {
    const { uploads, carrying } = await sending("a");
    await allow();
    carrying.events[0]!.failed({ status: 410 });
    expect(uploads.state.value[0]).toMatchObject({ phase: "failed", problem: { status: 410 } });
    uploads.retry(1);
    await settled();
    await allow();
    expect(carrying.urls).toHaveLength(2);
    expect(uploads.state.value[0]).toMatchObject({ phase: "sending", problem: undefined });
  });

  it("that are all there are shown until their message comes, or for a while", async () => {
    const { uploads, carrying } = await sending("a", "b");
    await allow();
    carrying.events[0]!.done("f1");
    const message = { channel_id: "c1", message_id: "5", message_time: 5, message_type: "ninchat.com/file", message_user_id: "me" };
    ScriptedSocket.latest.event("message_received", message, { files: [{ file_id: "f9" }] });
    expect(shown(uploads)).toEqual(["a finishing 0", "b sending 0"]);
    ScriptedSocket.latest.event("message_received", { ...message, message_id: "6" }, { files: [{ file_id: "f1" }] });
    expect(shown(uploads)).toEqual(["b sending 0"]);
    await settled();
    await allow();
    carrying.events[1]!.done("f2");
    await vi.advanceTimersByTimeAsync(600_000);
    expect(shown(uploads)).toEqual([]);
  });

  it("whose message came before they knew are done at once", async () => {
    const { uploads, carrying } = await sending("a");
    await allow();
    const message = { channel_id: "c1", message_id: "5", message_time: 5, message_type: "ninchat.com/file", message_user_id: "me" };
    ScriptedSocket.latest.event("message_received", message, { files: [{ file_id: "f1" }] });
    carrying.events[0]!.done("f1");
    expect(shown(uploads)).toEqual([]);
  });

  it.each(["refused", "expired"])("that are %s when they are complete say so, and begin anew", async (upload_ended) => {
    const { uploads, carrying } = await sending("a");
    await allow();
    carrying.events[0]!.done("f1");
    const news = { channel_id: "c1", user_id: "me", upload_id: "f1", file_attrs: { name: "a" }, upload_offset: 7 };
    ScriptedSocket.latest.event("levee_upload_updated", { ...news, upload_ended });
    expect(uploads.state.value[0]).toMatchObject({ phase: "failed", problem: { type: upload_ended } });
    expect([uploads.hasSent("f1"), uploads.hasSent("f2")]).toEqual([true, false]);
    uploads.retry(1);
    await settled();
    await allow();
    expect(carrying.urls).toHaveLength(2);
  });

  it("stop when their conversation ends, and none begins instead", async () => {
    const { uploads, carrying } = await sending("a", "b");
    await allow();
    ScriptedSocket.latest.event("channel_updated", { channel_id: "c1", channel_attrs: { queue_id: "q1", closed: true } });
    await settled();
    expect(shown(uploads)).toEqual(["a failed 0", "b failed 0"]);
    expect(uploads.state.value[1]).toMatchObject({ problem: { type: "ended" } });
    expect(carrying.told).toEqual(["start", "discard"]);
    expect(ScriptedSocket.latest.named("levee_create_upload")).toHaveLength(1);
  });

  it("aren't begun in a conversation that ended while it was asked, and are forgotten when it is gone", async () => {
    const { uploads, carrying } = await sending("a");
    ScriptedSocket.latest.event("channel_parted", { channel_id: "c1" });
    await allow();
    expect(shown(uploads)).toEqual([]);
    expect(carrying.urls).toEqual([]);
  });

  it("that aren't allowed say so", async () => {
    const { uploads } = await sending("a");
    const { action_id } = ScriptedSocket.latest.named("levee_create_upload")[0]!;
    ScriptedSocket.latest.event("error", { action_id, error_type: "permission_denied", error_reason: "not here" });
    await settled();
    const problem = { type: "permission_denied", said: "not here" };
    expect(uploads.state.value[0]).toMatchObject({ phase: "failed", problem });
  });

  it("that are refused in a part of the page that was loaded apart say so", async () => {
    class Elsewhere extends Error {
      override readonly name = "ActionError";
      readonly type = "upload_quota_exceeded";
    }
    const chat = await chatInConversation();
    const call = () => Promise.reject(new Elsewhere());
    const uploads = new Uploads({ state: chat.state, call }, "https://host", new Carrying().load);
    uploads.send("c1", [new File(["content"], "a")]);
    await settled();
    expect(uploads.state.value[0]).toMatchObject({ phase: "failed", problem: { type: "upload_quota_exceeded" } });
    expect(uploads.isBusy).toBe(false);
  });

  it("that can't be read aren't announced", async () => {
    const folder = new File([], "folder");
    vi.spyOn(folder, "slice").mockReturnValue({ arrayBuffer: () => Promise.reject(new DOMException("", "NotFoundError")) } as Blob);
    const uploads = new Uploads(await chatInConversation(), "https://host", new Carrying().load);
    uploads.send("c1", [folder]);
    await settled();
    expect(uploads.state.value[0]).toMatchObject({ phase: "failed", problem: { type: "unreadable" } });
    expect(ScriptedSocket.latest.named("levee_create_upload")).toEqual([]);
  });
});

it.each([
  [undefined, 100, true],
  [409, 0, true],
  [423, 0, true],
  [423, 5, false],
  [500, 4, true],
  [503, 5, false],
  [507, 0, false],
  [403, 0, false],
  [413, 0, false],
])("after status %s, attempt %d is followed by another: %s", (status, attempt, another) => {
  expect(isWorthAnother(status, attempt)).toBe(another);
});

it("an upload's address names its file", () => {
  expect(fileIdOf("https://files.example/files/upload/00file/secret")).toBe("00file");
});

describe("others' uploads", () => {
  const news = { channel_id: "c1", user_id: "you", upload_id: "u", file_attrs: { name: "a", size: 9 }, upload_offset: 3 };

  it("are shown until they end", async () => {
    const chat = await chatInConversation();
    const uploads = () => Object.values(chat.state.value.conversations.c1!.uploads);
    ScriptedSocket.latest.event("levee_upload_updated", news);
    expect(uploads()).toMatchObject([{ user_id: "you", upload_offset: 3 }]);
    ScriptedSocket.latest.event("levee_upload_updated", { ...news, upload_offset: 9, upload_ended: "completed" });
    expect(uploads()).toEqual([]);
  });

  it("don't include one's own, but for one that was refused when it was complete", async () => {
    const chat = await chatInConversation();
    const uploads = () => Object.values(chat.state.value.conversations.c1!.uploads);
    ScriptedSocket.latest.event("levee_upload_updated", { ...news, user_id: "me" });
    ScriptedSocket.latest.event("levee_upload_updated", { ...news, user_id: "me", upload_ended: "completed" });
    expect(uploads()).toEqual([]);
    ScriptedSocket.latest.event("levee_upload_updated", { ...news, user_id: "me", upload_ended: "refused" });
    expect(uploads()).toMatchObject([{ upload_ended: "refused" }]);
  });
});

it.each([
  [undefined, {}, false],
  ["member", {}, true],
  ["moderator", {}, false],
  ["moderator", { moderator: true }, true],
  ["agent", { operator: true }, true],
  ["operator", { moderator: true }, false],
  ["operator", { operator: true }, true],
  ["toString", {}, false],
])("where %s may send files, a member with %o may: %s", (upload, member_attrs, may) => {
  const conversation = { attrs: { upload }, members: { me: { user_attrs: {}, member_attrs } } } as unknown as Conversation;
  expect(maySendFiles(conversation, "me")).toBe(may);
  expect(maySendFiles(conversation, "somebody else")).toBe(false);
});
