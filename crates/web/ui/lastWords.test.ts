// Owns what is said of a conversation's last message.
import { expect, it } from "vitest";
import type { Message } from "../client/src/state.ts";
import { lastWords } from "./lastWords.ts";

const text: Message = { id: "1", time: 1, type: "ninchat.com/text", userId: "a", content: { text: "hello" } };

function files(text: string | undefined, ...attrs: object[]): Message {
  const files = attrs.map((file_attrs, index) => ({ file_id: String(index), file_attrs }));
  return { id: "2", time: 2, type: "ninchat.com/file", userId: "b", content: { text, files } };
}

const picture = { name: "IMG_1.jpg", type: "image/jpeg" };
const paper = { name: "bill.pdf", type: "application/pdf" };

it.each<[Message, object]>([
  [text, { text: "hello", userId: "a" }],
  [files(undefined, picture), { text: "Picture", attached: "pictures", userId: "b" }],
  [files(undefined, picture, picture), { text: "2 pictures", attached: "pictures", userId: "b" }],
  [files(undefined, paper), { text: "bill.pdf", attached: "files", userId: "b" }],
  [files(undefined, paper, picture), { text: "2 files", attached: "files", userId: "b" }],
  [files("see", paper), { text: "see", attached: "files", userId: "b" }],
])("of %o it says %o", (message, said) => expect(lastWords([text, message])).toEqual(said));

it("what is hidden or nobody's word is passed over", () => {
  const info: Message = { ...text, id: "3", type: "ninchat.com/info/join" };
  expect(lastWords([text, { ...files(undefined, paper), hidden: true }, info])).toMatchObject({ text: "hello" });
  expect(lastWords([info])).toBeNull();
});
