// Owns what a message says of its files, and where the server says that they are: addresses that expire.
import { Observable } from "./observable.ts";
import { asActionError, type Reply } from "./pending.ts";
import { hasFiles, type Message } from "./state.ts";
import type { EventOf, FileAttrs } from "./wire.ts";

export interface FileRef {
  id: string;
  attrs: FileAttrs;
}

/** Where a file is. */
export interface FileLink {
  attrs: FileAttrs;
  url: string;
  thumbnailUrl?: string;
  /** Seconds since 1970. */
  expiry: number;
}

/** The part of a chat that is asked for files. */
export interface FileSource {
  call(action: "describe_file", params: { file_id: string }): Promise<Reply>;
}

/** An address that is about to expire isn't handed out any more. */
const MARGIN_SECONDS = 10;
// Marks that turn the direction of text around, with which "exe.gpj" is made to look like a picture.
const DECEIVING = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const LARGEST_SIDE = 10_000;

/** The files of a message. Anybody may have written it, so nothing is believed of its shape. */
export function filesOf(message: Message): FileRef[] {
  if (!hasFiles(message)) return [];
  return (message.content.files as unknown[]).flatMap((file) => {
    const { file_id, file_attrs } = record(file);
    return typeof file_id === "string" ? [{ id: file_id, attrs: fileAttrs(file_attrs) }] : [];
  });
}

/** Keeps of an untrusted description what has the right type. */
export function fileAttrs(value: unknown): FileAttrs {
  const { name, type, size, thumbnail } = record(value);
  const { width, height } = record(thumbnail);
  return {
    ...(typeof name === "string" && { name }),
    ...(typeof type === "string" && { type }),
    ...(isCount(size) && { size }),
    ...(isSide(width) && isSide(height) && { thumbnail: { width, height } }),
  };
}

/** A file's name as it may be shown. */
export function shownName({ name }: FileAttrs): string {
  return name?.replace(DECEIVING, "").trim() || "?";
}

/** Addresses of files, asked for once and kept until they expire. */
export class FileLinks {
  /** Null where the server has no such file for this user. */
  readonly state = new Observable<Record<string, FileLink | null>>({});
  private readonly asked = new Map<string, Promise<FileLink | null>>();

  constructor(
    private readonly source: FileSource,
    /** What an address without a host belongs to. */
    private readonly server: string,
  ) {}

  /** What is known, unless it has expired. */
  known(id: string): FileLink | null | undefined {
    const link = this.state.value[id];
    return link && link.expiry - MARGIN_SECONDS <= Date.now() / 1000 ? undefined : link;
  }

  /** What is known, or else what the server says. Null also when it can't say. */
  async find(id: string): Promise<FileLink | null> {
    const link = this.known(id);
    return link === undefined ? this.ask(id) : link;
  }

  /** Asks although an address is known: it didn't work. */
  ask(id: string): Promise<FileLink | null> {
    const before = this.asked.get(id);
    if (before) return before;
    const asking = this.describe(id).finally(() => this.asked.delete(id));
    this.asked.set(id, asking);
    return asking;
  }

  private async describe(id: string): Promise<FileLink | null> {
    try {
      const { event } = await this.source.call("describe_file", { file_id: id });
      const link = this.toLink(event as EventOf<"file_found">);
      this.state.set({ ...this.state.value, [id]: link });
      return link;
    } catch (error) {
      const type = asActionError(error)?.type;
      // The session that was asked is gone; its successor knows as well.
      if (type === "session_lost") return this.describe(id);
      if (type !== "session_closed") this.state.set({ ...this.state.value, [id]: null });
      return null;
    }
  }

  private toLink(found: EventOf<"file_found">): FileLink {
    return {
      attrs: fileAttrs(found.file_attrs),
      url: this.address(found.file_url),
      ...(found.thumbnail_url !== undefined && { thumbnailUrl: this.address(found.thumbnail_url) }),
      expiry: found.url_expiry,
    };
  }

  private address(url: string): string {
    const { href, protocol } = new URL(url, this.server);
    // Anything else, such as a script, is no place of a file.
    if (protocol !== "https:" && protocol !== "http:") throw new TypeError(`not an address of a file: ${protocol}`);
    return href;
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isSide(value: unknown): value is number {
  return isCount(value) && value >= 1 && value <= LARGEST_SIDE;
}
