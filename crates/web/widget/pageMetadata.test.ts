// Owns that browsers are told apart.
import { expect, it } from "vitest";
import { browserName } from "./pageMetadata.ts";

const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

it.each([
  [CHROME, "Chrome 140, Linux"],
  [`${CHROME} Edg/140.0.0.0`, "Edge 140, Linux"],
  ["Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox 142, Windows"],
  ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1", "Safari 18, iOS"],
  ["curl/8.0", "curl/8.0"],
])("%s is %s", (userAgent, name) => expect(browserName(userAgent)).toBe(name));
