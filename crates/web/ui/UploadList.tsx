// Owns showing files on their way: one's own with progress, cancelling and trying again, others' as quiet lines.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { fileAttrs, shownName } from "../client/src/files.ts";
import type { Conversation, Upload } from "../client/src/state.ts";
import type { OwnUpload, Uploads } from "../client/src/uploads.ts";
import { fileSize } from "./fileLook.ts";
import { fileTexts as texts } from "./fileTexts.ts";
import { CloseIcon } from "./icons.tsx";
import type { NameOf } from "./timeline.ts";
import { problemText } from "./uploadWords.ts";

export interface UploadListProps {
  conversation: Conversation;
  uploads: Uploads;
  nameOf: NameOf;
}

/** After this long without news an upload is taken for given up; who sends tells of it every second. */
const QUIET_SECONDS = 60;

export function UploadList({ conversation, uploads, nameOf }: UploadListProps): JSX.Element | null {
  const list = useRef<HTMLUListElement>(null);
  const [all, setAll] = useState(uploads.state.value);
  useLayoutEffect(() => uploads.state.subscribe(setAll), [uploads]);
  const own = all.filter(({ channelId }) => channelId === conversation.id);
  const others = useNews(Object.entries(conversation.uploads));
  if (own.length === 0 && others.length === 0) return null;
  const remove = (id: number) => {
    // The button goes with its line; the focus goes on where files come from.
    const root = list.current!.getRootNode() as Document | ShadowRoot;
    uploads.cancel(id);
    root.querySelector<HTMLElement>(".lv-composer textarea")?.focus();
  };
  return (
    <ul class="lv-uploads" aria-label={texts.uploads} ref={list}>
      {own.map((upload) => (
        <OwnLine key={upload.id} upload={upload} onRemove={() => remove(upload.id)} onRetry={() => uploads.retry(upload.id)} />
      ))}
      {others.map(([id, upload]) => (
        <OtherLine key={id} upload={upload} person={nameOf(upload.user_id)} />
      ))}
    </ul>
  );
}

function OwnLine(props: { upload: OwnUpload; onRemove: () => void; onRetry: () => void }): JSX.Element {
  const { upload, onRemove, onRetry } = props;
  const { phase, problem, sent, size } = upload;
  const name = shownName(upload);
  const isFailed = phase === "failed";
  return (
    <li class={isFailed ? "lv-upload failed" : "lv-upload"}>
      <div class="lv-upload-text">
        <bdi class="lv-file-name">{name}</bdi>
        <span class="lv-file-size">{stateOf(upload)}</span>
        <span role="alert">{problem && problemText(problem)}</span>
        {!isFailed && <progress aria-label={texts.progress(name)} value={size > 0 ? sent / size : 0} />}
      </div>
      {isFailed && (
        <button type="button" class="lv-button small" aria-label={texts.retryNamed(name)} onClick={onRetry}>
          {texts.retry}
        </button>
      )}
      <RemoveButton label={isFailed ? texts.dismissNamed(name) : texts.cancelNamed(name)} onClick={onRemove} />
    </li>
  );
}

function RemoveButton({ label, onClick }: { label: string; onClick: () => void }): JSX.Element {
  return (
    <button type="button" class="lv-icon-button" aria-label={label} title={label} onClick={onClick}>
      <CloseIcon size={16} />
    </button>
  );
}

function stateOf({ phase, sent, size }: OwnUpload): string {
  if (phase === "queued") return texts.queued;
  if (phase === "waiting") return texts.waiting;
  return phase === "failed" ? fileSize(size) : texts.sentOf(fileSize(sent), fileSize(size));
}

function OtherLine({ upload, person }: { upload: Upload; person: string }): JSX.Element {
  const attrs = fileAttrs(upload.file_attrs);
  const name = <bdi>{shownName(attrs)}</bdi>;
  if (upload.upload_ended !== undefined) {
    return (
      <li class="lv-upload other" role="alert">
        {name} {texts.refused}
      </li>
    );
  }
  return (
    <li class="lv-upload other">
      <span>
        {texts.sends(person)} {name}
      </span>
      {attrs.size ? <progress aria-label={texts.progress(shownName(attrs))} value={upload.upload_offset / attrs.size} /> : null}
    </li>
  );
}

/** Leaves out what hasn't been heard of for a while. */
function useNews(all: [string, Upload][]): [string, Upload][] {
  const [now, setNow] = useState(0);
  useLayoutEffect(() => {
    if (all.length === 0) return;
    const timer = setInterval(() => setNow(Date.now() / 1000), 10_000);
    return () => clearInterval(timer);
  }, [all.length === 0]);
  return all.filter(([, { at }]) => now - at < QUIET_SECONDS);
}
