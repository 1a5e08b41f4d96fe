// Owns that files are described without believing anybody, and that their addresses are asked for when they are needed.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FileLinks, filesOf, shownName } from "../src/files.ts";
import type { Message } from "../src/state.ts";
import { chatInConversation, ScriptedSocket, useScriptedSocket } from "./scripted-socket.ts";

beforeEach(useScriptedSocket);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function fileMessage(files: unknown, type = "ninchat.com/file"): Message {
  return { id: "1", time: 1, type, content: { files } };
}

const SECOND = 1000;
const seconds = () => Date.now() / SECOND;

function answer(file: object, at = -1): void {
  const { action_id, file_id } = ScriptedSocket.latest.named("describe_file").at(at)!;
  ScriptedSocket.latest.event("file_found", { action_id, file_id, file_attrs: { name: "a.png" }, ...file });
}

const asked = () => ScriptedSocket.latest.named("describe_file").length;

describe("a message's files", () => {
  it("are taken as far as they make sense", () => {
    const good = { name: "a.png", type: "image/png", size: 3, thumbnail: { width: 4, height: 5 } };
    expect(filesOf(fileMessage([{ file_id: "f", file_attrs: good }]))).toEqual([{ id: "f", attrs: good }]);
    const bad = { name: 1, type: {}, size: -1, thumbnail: { width: 1e9, height: 1 } };
    expect(filesOf(fileMessage([{ file_id: "f", file_attrs: bad }]))).toEqual([{ id: "f", attrs: {} }]);
    expect(filesOf(fileMessage([null, 1, {}, { file_id: 2 }, { file_id: "f" }]))).toEqual([{ id: "f", attrs: {} }]);
    expect(filesOf(fileMessage("no list"))).toEqual([]);
    expect(filesOf(fileMessage([{ file_id: "f" }], "ninchat.com/text"))).toEqual([]);
  });

  it.each([
    ["photo\u202egnp.exe", "photognp.exe"],
    ["\u2067a\u2069\r\n.txt", "a.txt"],
    ["تقرير.pdf", "تقرير.pdf"],
    [" \u200f", "?"],
    [undefined, "?"],
  ])("called %o are shown as %o", (name, shown) => expect(shownName({ name })).toBe(shown));
});

describe("a file's address", () => {
  it("is asked for once, and again when it has expired", async () => {
    const links = new FileLinks(await chatInConversation(), "https://host/widget.js");
    const both = [links.find("f"), links.find("f")];
    expect(asked()).toBe(1);
    answer({ file_url: "/files/f/1", thumbnail_url: "https://files/t", url_expiry: seconds() + 60 });
    const [first, second] = await Promise.all(both);
    expect(first).toEqual(second);
    expect(first).toMatchObject({ url: "https://host/files/f/1", thumbnailUrl: "https://files/t", attrs: { name: "a.png" } });
    await links.find("f");
    expect(asked()).toBe(1);
    await vi.advanceTimersByTimeAsync(55 * SECOND);
    const third = links.find("f");
    expect(asked()).toBe(2);
    answer({ file_url: "/files/f/2", url_expiry: seconds() + 60 });
    expect((await third)?.url).toBe("https://host/files/f/2");
  });

  it("is none where the server has no such file, and that is not asked again", async () => {
    const links = new FileLinks(await chatInConversation(), "https://host");
    const found = links.find("f");
    const { action_id } = ScriptedSocket.latest.named("describe_file")[0]!;
    ScriptedSocket.latest.event("error", { action_id, error_type: "file_not_found" });
    expect(await found).toBeNull();
    expect(links.state.value).toEqual({ f: null });
    expect(await links.find("f")).toBeNull();
    expect(asked()).toBe(1);
  });

  it("is asked for in the next session when one was lost", async () => {
    const links = new FileLinks(await chatInConversation(), "https://host");
    const found = links.find("f");
    ScriptedSocket.latest.event("error", { error_type: "session_not_found" });
    await vi.advanceTimersByTimeAsync(0);
    ScriptedSocket.latest.accept();
    ScriptedSocket.latest.event("session_created", { session_id: "s2", user_id: "me", user_attrs: {} });
    answer({ file_url: "/f", url_expiry: seconds() + 60 });
    expect((await found)?.url).toBe("https://host/f");
  });

  it("is never one that runs as a script", async () => {
    const links = new FileLinks(await chatInConversation(), "https://host");
    const found = links.find("f");
    answer({ file_url: "javascript:alert(1)", url_expiry: seconds() + 60 });
    expect(await found).toBeNull();
  });
});
