// Owns what people are called and whether they are there.
import { memberName, type Conversation, type UserAttrs } from "../client/src/index.ts";
import { texts } from "./texts.ts";

export type Presence = "online" | "idle" | "offline";

export function presence(attrs: UserAttrs | undefined): Presence {
  if (!attrs?.connected) return "offline";
  return attrs.idle ? "idle" : "online";
}

export function guestName(userId: string, name?: string): string {
  return name ?? texts.guest(userId);
}

export function nameIn(conversation: Conversation, userId: string | undefined, writtenAs?: string): string {
  return memberName(conversation, userId) ?? writtenAs ?? (userId === undefined ? texts.product : guestName(userId));
}

/** The customer is the member who neither is the agent at this console nor runs the conversation. */
export function customerId({ members, messages }: Conversation, selfId: string | undefined): string | undefined {
  const others = Object.keys(members).filter((id) => id !== selfId);
  const present =
    others.find((id) => members[id]?.user_attrs.guest) ?? others.find((id) => !members[id]?.member_attrs.operator);
  if (present !== undefined) return present;
  // Whoever has left is still the author of what they wrote.
  return messages.find(({ userId }) => userId !== undefined && userId !== selfId)?.userId;
}

export function customerName(conversation: Conversation, selfId: string | undefined): string {
  const id = customerId(conversation, selfId);
  return id === undefined ? texts.customer : nameIn(conversation, id);
}
