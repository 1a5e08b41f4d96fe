// Owns the icons of files: a sheet of paper, and on it what kind of file it is.
import type { JSX } from "preact";
import type { FileKind } from "./fileLook.ts";
import { icon, PictureIcon } from "./icons.tsx";

const SHEET = <path d="M11.5 2.8H6a1.2 1.2 0 0 0-1.2 1.2v12A1.2 1.2 0 0 0 6 17.2h8a1.2 1.2 0 0 0 1.2-1.2V6.5Zm0 0v3.7h3.7" />;

const ICONS: Record<FileKind, ReturnType<typeof icon>> = {
  picture: PictureIcon,
  video: icon(
    <>
      <rect x="3" y="4" width="14" height="12" rx="1.4" />
      <path d="m8.4 7.4 4 2.6-4 2.6Z" />
    </>,
  ),
  sound: icon(<path d="M3.5 8.2v3.6M6.8 5.8v8.4M10 3.8v12.4M13.2 6.6v6.8M16.5 8.6v2.8" />),
  archive: icon(
    <>
      <path d="M3.2 4h13.6v3.4H3.2ZM4.4 7.4h11.2V16H4.4Z" />
      <path d="M8.4 10.4h3.2" />
    </>,
  ),
  text: icon(
    <>
      {SHEET}
      <path d="M7.6 9.8h4.8M7.6 12.9h4.8" />
    </>,
  ),
  other: icon(SHEET),
};

export function KindIcon({ kind }: { kind: FileKind }): JSX.Element {
  const Icon = ICONS[kind];
  return <Icon size={26} />;
}
