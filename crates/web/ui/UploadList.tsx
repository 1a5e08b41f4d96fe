// Owns showing files on their way: one's own with progress, cancelling and trying again, others' as quiet lines.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { fileAttrs, shownName } from "../client/src/files.ts";
import type { Conversation, Upload } from "../client/src/state.ts";
import type { OwnUpload, Uploads } from "../client/src/uploads.ts";
import { KindIcon } from "./fileIcons.tsx";
import { fileKind, fileSize, isDrawn } from "./fileLook.ts";
import { fileTexts as texts } from "./fileTexts.ts";
import { CloseIcon } from "./icons.tsx";
import type { NameOf } from "./timeline.ts";
import { announcement, isWorthRetry, problemText } from "./uploadWords.ts";

export interface UploadListProps {
  conversation: Conversation;
  uploads: Uploads;
  nameOf: NameOf;
}

/** After this long without news an upload is taken for given up; who sends tells of it every second. */
const QUIET_SECONDS = 60;
/** Larger pictures take too long to draw. */
const LARGEST_PREVIEW = 30_000_000;

export function UploadList({ conversation, uploads, nameOf }: UploadListProps): JSX.Element {
  const list = useRef<HTMLUListElement>(null);
  const [all, said] = useUploads(uploads);
  useFocusKept(list, uploads);
  const own = all.filter(({ channelId }) => channelId === conversation.id);
  const others = useNews(Object.entries(conversation.uploads)).filter(([id, { upload_ended }]) => upload_ended !== "expired" && !uploads.hasSent(id));
  return (
    <>
      <div class="lv-hidden" role="status">
        {said}
      </div>
      {(own[0] ?? others[0]) && (
        <ul class="lv-uploads" aria-label={texts.uploads} ref={list}>
          {others.map(([id, upload]) => (
            <OtherLine key={id} upload={upload} person={nameOf(upload.user_id)} />
          ))}
          {own.map((upload) => (
            <OwnLine
              key={upload.id}
              upload={upload}
              file={uploads.file(upload.id)}
              onRemove={() => uploads.cancel(upload.id)}
              onRetry={() => uploads.retry(upload.id)}
            />
          ))}
        </ul>
      )}
    </>
  );
}

/** The files on their way, and the last that is worth saying of them. */
function useUploads({ state }: Uploads): [OwnUpload[], string] {
  const [all, setAll] = useState(state.value);
  const [said, setSaid] = useState("");
  useLayoutEffect(() => {
    let before: OwnUpload[] = [];
    const take = (next: OwnUpload[]) => {
      const words = announcement(before, next);
      before = next;
      setAll(next);
      if (words) setSaid(words);
    };
    take(state.value);
    return state.subscribe(take);
  }, [state]);
  return [all, said];
}

/** Buttons go with what they are about, also when that ends by itself. The focus goes on where files come from. */
function useFocusKept(list: { readonly current: HTMLElement | null }, { state }: Uploads): void {
  useLayoutEffect(
    () =>
      state.subscribe(() => {
        const root = list.current?.getRootNode() as Document | ShadowRoot | undefined;
        const focused = root?.activeElement;
        if (!focused || !list.current?.contains(focused)) return;
        // By then it is drawn.
        requestAnimationFrame(() => {
          if (!focused.isConnected) root.querySelector<HTMLElement>(".lv-composer textarea")?.focus();
        });
      }),
    [state],
  );
}

function OwnLine(props: { upload: OwnUpload; file: File | undefined; onRemove: () => void; onRetry: () => void }): JSX.Element {
  const { upload, file, onRemove, onRetry } = props;
  const { phase, problem, sent, size } = upload;
  const name = shownName(upload);
  const isFailed = phase === "failed";
  return (
    <li class={isFailed ? "lv-upload failed" : "lv-upload"}>
      <Preview file={file} />
      <div class="lv-upload-text">
        <bdi class="lv-file-name">{name}</bdi>
        <span class="lv-file-size">{stateOf(upload)}</span>
        <span role="alert">{problem && problemText(problem)}</span>
        {!isFailed && phase !== "queued" && <progress aria-label={texts.progress(name)} value={size > 0 ? sent / size : 0} />}
      </div>
      {problem && isWorthRetry(problem) && (
        <button type="button" class="lv-button small" aria-label={texts.retryNamed(name)} onClick={onRetry}>
          {texts.retry}
        </button>
      )}
      <RemoveButton label={isFailed ? texts.dismissNamed(name) : texts.cancelNamed(name)} onClick={onRemove} />
    </li>
  );
}

/** A small picture of the file, or an icon of its kind. */
function Preview({ file }: { file: File | undefined }): JSX.Element {
  const [url, setUrl] = useState<string | null>(null);
  useLayoutEffect(() => {
    if (!file || !isDrawn(file) || file.size > LARGEST_PREVIEW) return;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  // A page may not let the widget show what has no address, and not all is a picture that says so.
  return (
    <span class="lv-preview">
      {url ? <img src={url} alt="" onError={() => setUrl(null)} /> : <KindIcon kind={fileKind({ type: file?.type ?? "" })} />}
    </span>
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
  if (phase === "finishing") return texts.finishing;
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
      <span class="lv-upload-what">
        {texts.sends(person)} {name}
      </span>
      {attrs.size ? <span class="lv-file-size">{fileSize(attrs.size)}</span> : null}
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
