// Owns sending files: one after the other, each in one stream that goes on after a lost connection. It knows nothing of
// HTTP; what carries the bytes is loaded with the first file.
import { filesOf } from "./files.ts";
import { Observable } from "./observable.ts";
import { asActionError, type Reply } from "./pending.ts";
import { isEnded, type Conversation, type State } from "./state.ts";
import type { ActionParams, EventOf } from "./wire.ts";

export interface OwnUpload {
  id: number;
  channelId: string;
  name: string;
  size: number;
  /** Bytes that are on their way or have arrived. */
  sent: number;
  phase: "queued" | "sending" | "waiting" | "finishing" | "failed";
  /** The server's id of the file, once all of it is there. */
  fileId?: string;
  problem?: UploadProblem;
}

/** Why an upload failed: an error of the protocol, or a status of HTTP and what the server said with it. */
export interface UploadProblem {
  type?: string;
  status?: number;
  said?: string;
}

/** One file on its way. */
export interface Transfer {
  /** Begins, or goes on from what the server has. */
  start(): void;
  /** Stops; `discard` makes the server forget what it has. */
  stop(discard: boolean): void;
}

export interface TransferEvents {
  progress(sent: number): void;
  /** The connection is lost, and it tries again. */
  waiting(): void;
  /** All is there. The server looks at it, and then it comes as a message. */
  done(fileId: string): void;
  failed(problem: UploadProblem): void;
}

export type Carrier = (file: Blob, url: string, events: TransferEvents) => Transfer;

/** The part of a chat that is asked where to send files to. */
export interface UploadSource {
  readonly state: Observable<State>;
  call(action: "levee_create_upload", params: ActionParams["levee_create_upload"]): Promise<Reply>;
}

interface Entry {
  file: File;
  transfer?: Transfer;
}

/** After this long without a word of a file that is all there, nothing is made of it any more: its message may be old. */
const FINISH_MS = 600_000;

export class Uploads {
  readonly state = new Observable<OwnUpload[]>([]);
  private readonly entries = new Map<number, Entry>();
  private readonly sentIds = new Set<string>();
  private count = 0;

  constructor(
    private readonly source: UploadSource,
    /** What an address without a host belongs to. */
    private readonly server: string,
    private readonly loadCarrier: () => Promise<Carrier>,
  ) {
    let { status } = source.state.value;
    source.state.subscribe((state) => {
      const isBack = state.status === "online" && status !== "online";
      status = state.status;
      this.settle(state);
      if (isBack) this.nudge();
    });
  }

  /** Whether leaving would lose something. */
  get isBusy(): boolean {
    return this.state.value.some(isUnderWay);
  }

  /** Whether a file was sent from here, so that what becomes of it is said here. */
  hasSent(fileId: string): boolean {
    return this.sentIds.has(fileId);
  }

  /** The file itself, for showing it. */
  file(id: number): File | undefined {
    return this.entries.get(id)?.file;
  }

  send(channelId: string, files: readonly File[]): void {
    for (const file of files) {
      const id = (this.count += 1);
      this.entries.set(id, { file });
      const upload: OwnUpload = { id, channelId, name: file.name, size: file.size, sent: 0, phase: "queued" };
      this.state.set([...this.state.value, upload]);
    }
    this.next();
  }

  cancel(id: number): void {
    this.entries.get(id)?.transfer?.stop(true);
    this.remove(id);
  }

  /** Goes on where it stopped, if the server still has what it got. */
  retry(id: number): void {
    this.patch(id, { phase: "queued", problem: undefined });
    this.next();
  }

  /** The network is back: no need to wait for the next attempt. */
  nudge(): void {
    const waiting = this.state.value.find(({ phase }) => phase === "waiting");
    const transfer = waiting && this.entries.get(waiting.id)?.transfer;
    transfer?.stop(false);
    transfer?.start();
  }

  /** Whoever sends leaves: nothing of it is wanted any more. */
  close(): void {
    const entries = [...this.entries.values()];
    this.entries.clear();
    this.state.set([]);
    for (const { transfer } of entries) transfer?.stop(true);
  }

  private next(): void {
    const isBusy = this.state.value.some(({ phase }) => phase === "sending" || phase === "waiting");
    const upload = this.state.value.find(({ phase }) => phase === "queued");
    if (!isBusy && upload) void this.begin(upload);
  }

  private async begin({ id, channelId, name, size }: OwnUpload): Promise<void> {
    const entry = this.entries.get(id)!;
    this.patch(id, { phase: "sending" });
    try {
      if (!entry.transfer) {
        // A folder that was dropped, or a file that is gone, can't be read; that is known before anything is sent.
        await entry.file.slice(0, 1).arrayBuffer();
        const [carry, url] = await Promise.all([this.loadCarrier(), this.place(channelId, name, size)]);
        // It may have been cancelled meanwhile, or the conversation ended.
        if (this.state.value.find((upload) => upload.id === id)?.phase !== "sending") return;
        entry.transfer = carry(entry.file, url, this.eventsOf(id));
      }
      entry.transfer.start();
    } catch (error) {
      this.fail(id, problemOf(error));
    }
  }

  private async place(channelId: string, name: string, size: number): Promise<string> {
    try {
      const { event } = await this.source.call("levee_create_upload", { channel_id: channelId, file_attrs: { name, size } });
      return new URL((event as EventOf<"levee_upload_created">).upload_url, this.server).href;
    } catch (error) {
      // The session that was asked is gone; its successor knows as well.
      if (asActionError(error)?.type === "session_lost") return this.place(channelId, name, size);
      throw error;
    }
  }

  private eventsOf(id: number): TransferEvents {
    return {
      progress: (sent) => this.patch(id, { sent, phase: "sending" }),
      waiting: () => this.patch(id, { phase: "waiting" }),
      done: (fileId) => this.finish(id, fileId),
      failed: (problem) => {
        const entry = this.entries.get(id);
        // What the server refused or has forgotten begins anew, with another address.
        if (entry && problem.status !== undefined) entry.transfer = undefined;
        this.fail(id, problem);
      },
    };
  }

  private finish(id: number, fileId: string): void {
    this.sentIds.add(fileId);
    this.patch(id, { phase: "finishing", fileId });
    this.settle(this.source.state.value);
    setTimeout(() => {
      if (this.state.value.some((upload) => upload.id === id && upload.phase === "finishing")) this.remove(id);
    }, FINISH_MS);
    this.next();
  }

  /** Lets go of what has come to its conversation, was refused when it was complete, or can't come there any more. */
  private settle({ conversations }: State): void {
    this.stopEnded(conversations);
    for (const { id, channelId, phase, fileId } of this.state.value) {
      if (phase !== "finishing" || fileId === undefined) continue;
      const conversation = conversations[channelId];
      if (!conversation || hasFile(conversation, fileId)) {
        this.remove(id);
        continue;
      }
      const ended = conversation.uploads[fileId]?.upload_ended;
      if (ended === undefined) continue;
      this.entries.get(id)!.transfer = undefined;
      this.fail(id, { type: ended });
    }
  }

  private stopEnded(conversations: State["conversations"]): void {
    const isEnd = ({ channelId }: OwnUpload) => {
      const conversation = conversations[channelId];
      return !conversation || isEnded(conversation);
    };
    const ended = this.state.value.filter((upload) => isUnderWay(upload) && isEnd(upload));
    if (!ended[0]) return;
    // All at once, so that none begins where another stops.
    this.state.set(
      this.state.value.flatMap((upload) => {
        if (!ended.includes(upload)) return upload;
        return upload.channelId in conversations ? { ...upload, phase: "failed", problem: { type: "ended" } } : [];
      }),
    );
    for (const { id, channelId } of ended) {
      this.entries.get(id)?.transfer?.stop(true);
      if (!(channelId in conversations)) this.entries.delete(id);
    }
    this.next();
  }

  private fail(id: number, problem: UploadProblem): void {
    this.patch(id, { phase: "failed", problem });
    this.next();
  }

  private patch(id: number, change: Partial<OwnUpload>): void {
    this.state.set(this.state.value.map((upload) => (upload.id === id ? { ...upload, ...change } : upload)));
  }

  private remove(id: number): void {
    this.entries.delete(id);
    this.state.set(this.state.value.filter((upload) => upload.id !== id));
    this.next();
  }
}

function isUnderWay({ phase }: OwnUpload): boolean {
  return phase === "queued" || phase === "sending" || phase === "waiting";
}

function problemOf(error: unknown): UploadProblem {
  const refusal = asActionError(error);
  if (refusal) return { type: refusal.type, ...(refusal.reason !== undefined && { said: refusal.reason }) };
  return { type: error instanceof DOMException ? "unreadable" : "failed" };
}

function hasFile({ messages }: Conversation, fileId: string): boolean {
  // The newest are the likeliest.
  return messages.findLast((message) => filesOf(message).some(({ id }) => id === fileId)) !== undefined;
}
