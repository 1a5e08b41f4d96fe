// Owns carrying a file's bytes by tus 1.0: in one stream, again after a lost connection, and forgotten by wish.
import { DetailedError, Upload } from "tus-js-client";
import type { Transfer, TransferEvents, UploadProblem } from "./uploads.ts";

/** Pauses between attempts; they begin anew after each that got further. A lost connection may last a long time. */
const PAUSES_MS = [0, 1_000, 2_000, 4_000, 8_000, ...Array.from({ length: 240 }, () => 15_000)];
/** How often a server that answers, but fails, is asked again. */
const FAILURES = 5;
/** Something else is writing the same upload, or has been a moment ago. */
const BUSY = new Set([409, 423, 429]);
const NO_ROOM = 507;
const LONGEST_REASON = 200;

export function carry(file: Blob, url: string, events: TransferEvents): Transfer {
  const upload = new Upload(file as File, {
    endpoint: url,
    retryDelays: PAUSES_MS,
    // The page is left together with the file; another visit can't go on with it.
    storeFingerprintForResuming: false,
    onProgress: (sent) => events.progress(sent),
    onSuccess: () => events.done(fileIdOf(upload.url!)),
    onError: (error) => events.failed(problemOf(error)),
    onShouldRetry: (error, attempt) => {
      const again = isWorthAnother(statusOf(error), attempt);
      if (again) events.waiting();
      return again;
    },
  });
  return {
    start: () => upload.start(),
    stop: (discard) => void upload.abort(discard && upload.url !== null).catch(() => undefined),
  };
}

/** Whether an attempt that failed may succeed by itself; without a status the server wasn't reached. */
export function isWorthAnother(status: number | undefined, attempt: number): boolean {
  if (status === undefined) return true;
  return attempt < FAILURES && (BUSY.has(status) || (status >= 500 && status !== NO_ROOM));
}

/** An upload's address names its file: `/files/upload/FILE/SECRET`. */
export function fileIdOf(url: string): string {
  return new URL(url).pathname.split("/").at(-2) ?? "";
}

function statusOf(error: Error): number | undefined {
  const status = error instanceof DetailedError ? error.originalResponse?.getStatus() : undefined;
  // Zero is what a browser says of a request without an answer.
  return status || undefined;
}

function problemOf(error: Error): UploadProblem {
  const status = statusOf(error);
  if (status === undefined || !(error instanceof DetailedError)) return {};
  return { status, ...reason(error.originalResponse) };
}

/** What the server says in plain text; a proxy's page is nothing to read. */
function reason(response: DetailedError["originalResponse"]): Pick<UploadProblem, "said"> {
  const said = response?.getHeader("Content-Type")?.startsWith("text/plain") ? response.getBody().trim() : "";
  return said !== "" && said.length <= LONGEST_REASON ? { said } : {};
}
