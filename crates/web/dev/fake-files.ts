// Owns the stand-in's files: kept in memory, taken by tus in its simplest form, given to whoever asks.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Header } from "./fake-world.ts";

interface Part {
  channelId: string;
  userId: string;
  name: string;
  size: number;
  chunks: Buffer[];
  offset: number;
  toldAt: number;
}

/** Tells the channel's members how far an upload is, or posts its file. */
export interface FileNews {
  progress(channelId: string, event: Header): void;
  post(channelId: string, userId: string, file: Header): void;
}

const TYPES: Record<string, string> = { png: "image/png", jpg: "image/jpeg", pdf: "application/pdf", txt: "text/plain", zip: "application/zip" };
const TUS = { "tus-resumable": "1.0.0", "cache-control": "no-store" };

export class FakeFiles {
  private count = 0;
  private readonly parts = new Map<string, Part>();
  private readonly files = new Map<string, { attrs: Header; data: Buffer }>();

  constructor(private readonly news: FileNews) {}

  createUpload(channelId: string, userId: string, { name, size }: { name: string; size: number }): Header {
    const id = `u${(this.count += 1)}`;
    this.parts.set(id, { channelId, userId, name, size, chunks: [], offset: 0, toldAt: 0 });
    return { event: "levee_upload_created", channel_id: channelId, upload_url: `/files/upload/${id}`, url_expiry: Date.now() / 1000 + 600 };
  }

  describe(id: string): Header {
    const file = this.files.get(id);
    if (!file) return { event: "error", error_type: "file_not_found" };
    const file_url = `/files/${id}`;
    const thumbnail = file.attrs.thumbnail ? { thumbnail_url: `${file_url}?thumbnail` } : {};
    return { event: "file_found", file_id: id, file_attrs: file.attrs, file_url, ...thumbnail, url_expiry: Date.now() / 1000 + 60 };
  }

  async serve(request: IncomingMessage, path: string, response: ServerResponse): Promise<void> {
    const id = path.split("/").filter((part) => part !== "secret").at(-1)!;
    const part = this.parts.get(id);
    const file = this.files.get(id);
    if (file && request.method === "GET") {
      response.writeHead(200, { "content-type": String(file.attrs.type), "content-length": file.data.length }).end(file.data);
    } else if (!part) {
      response.writeHead(404, { ...TUS, "content-type": "text/plain" }).end("there is no such upload");
    } else if (request.method === "POST") {
      response.writeHead(201, { ...TUS, location: `/files/upload/${id}/secret` }).end();
    } else if (request.method === "HEAD") {
      response.writeHead(200, { ...TUS, "upload-offset": part.offset, "upload-length": part.size }).end();
    } else if (request.method === "DELETE") {
      this.end(id, part, "cancelled");
      response.writeHead(204, TUS).end();
    } else if (Number(request.headers["upload-offset"]) !== part.offset) {
      response.writeHead(409, TUS).end();
    } else {
      await this.take(request, id, part);
      response.writeHead(204, { ...TUS, "upload-offset": part.offset }).end();
    }
  }

  private async take(request: IncomingMessage, id: string, part: Part): Promise<void> {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      part.chunks.push(chunk);
      part.offset += chunk.length;
      if (Date.now() - part.toldAt < 1000) continue;
      part.toldAt = Date.now();
      this.news.progress(part.channelId, this.progress(id, part));
    }
    if (part.offset < part.size) return;
    const data = Buffer.concat(part.chunks);
    const type = TYPES[part.name.split(".").at(-1) ?? ""] ?? "application/octet-stream";
    const thumbnail = type === "image/png" && { thumbnail: { width: data.readUInt32BE(16), height: data.readUInt32BE(20) } };
    const attrs = { name: part.name, size: data.length, type, ...thumbnail };
    const file_id = id;
    this.files.set(file_id, { attrs, data });
    this.news.post(part.channelId, part.userId, { file_id, file_attrs: attrs });
    this.end(id, part, "completed");
  }

  private end(id: string, part: Part, upload_ended: string): void {
    this.parts.delete(id);
    this.news.progress(part.channelId, { ...this.progress(id, part), upload_ended });
  }

  private progress(id: string, { channelId, userId, name, size, offset }: Part): Header {
    const event = { event: "levee_upload_updated", channel_id: channelId, user_id: userId };
    return { ...event, upload_id: id, file_attrs: { name, size }, upload_offset: offset };
  }
}
