// Owns the user's own messages until the server has acknowledged them: shown at once, delivered once.
import type { Observable } from "./observable.ts";
import { ActionError, type Dispatched } from "./pending.ts";
import { patchConversation } from "./apply.ts";
import { mergeMessage, messageText, type Message, type State } from "./state.ts";
import type { ActionParams } from "./wire.ts";

type SendMessage = (
  action: "send_message",
  params: ActionParams["send_message"],
  payload: string[],
) => Dispatched;

const TEXT = "ninchat.com/text";

interface Unsent {
  channelId: string;
  message: Message;
  /** The newest message that was known when this one was written. */
  afterId: string;
}

export class Outbox {
  private count = 0;
  private readonly standIns = new Map<number, string>();
  /** Sent in a session that is lost: whether they arrived is known once the history is loaded. */
  private uncertain: Unsent[] = [];

  constructor(
    private readonly state: Observable<State>,
    private readonly call: SendMessage,
  ) {}

  /** The local message that the answer to an action will replace. */
  standInOf(actionId: number): string | undefined {
    return this.standIns.get(actionId);
  }

  send(channelId: string, text: string): void {
    const { conversations, user } = this.state.value;
    const conversation = conversations[channelId];
    if (!conversation) return;
    this.count += 1;
    const message: Message = {
      id: `local:${this.count}`,
      time: Date.now() / 1000,
      type: TEXT,
      userId: user?.id,
      content: { text },
      delivery: "pending",
    };
    const afterId = conversation.messages.findLast((other) => !other.delivery)?.id ?? "";
    this.update(channelId, (messages) => mergeMessage(messages, message));
    void this.deliver({ channelId, message, afterId });
  }

  resend(channelId: string, messageId: string): void {
    const message = this.state.value.conversations[channelId]?.messages.find(({ id }) => id === messageId);
    if (!message?.delivery) return;
    this.mark(channelId, messageId, "pending");
    void this.deliver({ channelId, message, afterId: "" });
  }

  /** The history of a conversation is known again: sends what isn't in it. */
  reconcile(channelId: string): void {
    const due = this.uncertain.filter((unsent) => unsent.channelId === channelId);
    this.uncertain = this.uncertain.filter((unsent) => unsent.channelId !== channelId);
    const { conversations, user } = this.state.value;
    const arrived = new Set<string>();
    for (const unsent of due) {
      const twin = conversations[channelId]?.messages.find(
        (other) =>
          !other.delivery &&
          !arrived.has(other.id) &&
          other.userId === user?.id &&
          other.id > unsent.afterId &&
          messageText(other) === messageText(unsent.message),
      );
      if (twin) {
        arrived.add(twin.id);
        this.update(channelId, (messages) => messages.filter(({ id }) => id !== unsent.message.id));
      } else {
        void this.deliver(unsent);
      }
    }
  }

  private async deliver(unsent: Unsent): Promise<void> {
    const { channelId, message } = unsent;
    const { actionId, reply } = this.call("send_message", { channel_id: channelId, message_type: TEXT }, [
      JSON.stringify(message.content),
    ]);
    this.standIns.set(actionId, message.id);
    try {
      await reply;
    } catch (error) {
      if (error instanceof ActionError && error.type === "session_lost") this.uncertain.push(unsent);
      else this.mark(channelId, message.id, "failed");
    } finally {
      // Ids start anew with a session, so this one may already stand for another message.
      if (this.standIns.get(actionId) === message.id) this.standIns.delete(actionId);
    }
  }

  private mark(channelId: string, messageId: string, delivery: Message["delivery"]): void {
    this.update(channelId, (messages) =>
      messages.map((message) => (message.id === messageId ? { ...message, delivery } : message)),
    );
  }

  private update(channelId: string, change: (messages: Message[]) => Message[]): void {
    this.state.set(
      patchConversation(this.state.value, channelId, ({ messages }) => ({ messages: change(messages) })),
    );
  }
}
