// Owns showing the files of a message: pictures by their thumbnails, anything else as a card that downloads it.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { shownName, type FileLink, type FileLinks, type FileRef } from "../client/src/files.ts";
import { KindIcon } from "./fileIcons.tsx";
import { fileKind, fileSize, pictureRoom } from "./fileLook.ts";
import { fileTexts as texts } from "./fileTexts.ts";

/** How far outside of what is seen a file is asked for already. */
const AHEAD = "200px";

export function FileCards({ files, links }: { files: FileRef[]; links: FileLinks }): JSX.Element {
  return (
    <>
      {files.map((file) => (
        <File key={file.id} file={file} links={links} />
      ))}
    </>
  );
}

function File({ file, links }: { file: FileRef; links: FileLinks }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const link = useLink(file.id, links, place);
  const [isBroken, setBroken] = useState(false);
  const wasAsked = useRef(false);
  // What the message says decides the room, and the server's word comes later: it may only take a picture away.
  const room = isBroken || link === null || (link && !link.thumbnailUrl) ? null : pictureRoom(file.attrs);
  const onPictureLost = () => {
    // Its address may have expired while it was on its way.
    if (wasAsked.current) setBroken(true);
    else void links.ask(file.id);
    wasAsked.current = true;
  };
  const attrs = link?.attrs ?? file.attrs;
  return (
    <div class="lv-files-item" ref={place}>
      {room ? (
        <Picture name={shownName(attrs)} room={room} link={link} follow={follower(file, links)} onLost={onPictureLost} />
      ) : (
        <Card attrs={attrs} link={link} follow={follower(file, links)} />
      )}
    </div>
  );
}

type Follow = (event: MouseEvent) => void;

function Picture(props: {
  name: string;
  room: { width: number; height: number };
  link: FileLink | undefined | null;
  follow: Follow;
  onLost: () => void;
}): JSX.Element {
  const { name, room, link, follow, onLost } = props;
  const style = { width: `${room.width}px`, aspectRatio: `${room.width} / ${room.height}` };
  if (!link) return <div class="lv-picture" style={style} role="img" aria-label={texts.picture(name)} />;
  return (
    <a class="lv-picture" style={style} href={link.url} target="_blank" rel="noopener" title={name} onClick={follow}>
      <img src={link.thumbnailUrl} alt={texts.picture(name)} {...room} onError={onLost} />
    </a>
  );
}

function Card({ attrs, link, follow }: { attrs: FileRef["attrs"]; link: FileLink | undefined | null; follow: Follow }): JSX.Element {
  const name = shownName(attrs);
  const content = (
    <>
      <KindIcon kind={fileKind(attrs)} />
      <span class="lv-file-text">
        {link && <span class="lv-hidden">{texts.download} </span>}
        <bdi class="lv-file-name">{name}</bdi>
        <span class="lv-file-size">
          {link === null ? texts.gone : attrs.size === undefined ? "" : fileSize(attrs.size)}
        </span>
      </span>
    </>
  );
  if (!link) return <div class="lv-file">{content}</div>;
  return (
    // A browser that shows the file instead of saving it must not leave the chat for that.
    <a class="lv-file" href={link.url} download={name} target="_blank" rel="noopener" onClick={follow}>
      {content}
    </a>
  );
}

/** What is known of a file's place; it is asked for when the file is about to be seen. */
function useLink(
  id: string,
  links: FileLinks,
  place: { readonly current: HTMLElement | null },
): FileLink | null | undefined {
  const [link, setLink] = useState(() => links.known(id));
  useLayoutEffect(() => links.state.subscribe((all) => setLink(all[id])), [id, links]);
  useLayoutEffect(() => {
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry?.isIntersecting) return;
        observer.disconnect();
        void links.find(id);
      },
      { rootMargin: AHEAD },
    );
    observer.observe(place.current!);
    return () => observer.disconnect();
  }, [id, links]);
  return link;
}

/** Follows a link whose address has expired to the new one. */
function follower({ id }: FileRef, links: FileLinks): Follow {
  return (event) => {
    if (links.known(id)) return;
    event.preventDefault();
    const { target, rel, download } = event.currentTarget as HTMLAnchorElement;
    void links.find(id).then((link) => {
      if (!link) return;
      const fresh = Object.assign(document.createElement("a"), { href: link.url, target, rel });
      if (download) fresh.download = download;
      fresh.click();
    });
  };
}
