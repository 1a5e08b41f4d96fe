// Owns what the widget tells the agent about the page and the browser that the chat begins from.
import type { Metadata } from "../client/src/index.ts";

/** In order: browsers that name themselves beside the engine they are built on come first. */
const BROWSERS: [RegExp, string][] = [
  [/Edg\/([\d]+)/, "Edge"],
  [/OPR\/([\d]+)/, "Opera"],
  [/Firefox\/([\d]+)/, "Firefox"],
  [/Chrome\/([\d]+)/, "Chrome"],
  [/Version\/([\d]+).*Safari/, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/Windows/, "Windows"],
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];

export function browserName(userAgent: string): string {
  const system = SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1];
  for (const [pattern, name] of BROWSERS) {
    const version = pattern.exec(userAgent)?.[1];
    if (version) return `${name} ${version}${system ? `, ${system}` : ""}`;
  }
  return userAgent.slice(0, 120);
}

export function pageMetadata(): Metadata {
  return {
    page_url: location.href,
    page_title: document.title,
    ...(document.referrer && { referrer: document.referrer }),
    language: navigator.language,
    screen: `${screen.width} × ${screen.height}`,
    window: `${innerWidth} × ${innerHeight}`,
    browser: browserName(navigator.userAgent),
  };
}
