// Owns showing what is known of the customer: what their browser said, and apart from it what they can't have forged.
import type { JSX } from "preact";
import type { Metadata } from "../client/src/index.ts";
import { LinkedText } from "../ui/LinkedText.tsx";
import { dataRows } from "./dataRows.ts";
import { LockIcon } from "./icons.tsx";
import { texts } from "./texts.ts";

/** In a narrow window the data would leave no room for the messages, so it begins folded. */
const hasRoom = matchMedia("(min-width: 761px) and (min-height: 560px)").matches;

export function CustomerData({ metadata }: { metadata: Metadata }): JSX.Element | null {
  const { secure, ...plain } = metadata;
  const confirmed = dataRows(secure);
  const said = dataRows(plain);
  if (said.length + confirmed.length === 0) return null;
  return (
    <details class="data" open={hasRoom}>
      <summary>{texts.customerData}</summary>
      {confirmed.length > 0 && (
        <section aria-label={texts.secureData}>
          <h3>
            <LockIcon size={16} /> {texts.secureData}
          </h3>
          <Rows rows={confirmed} />
        </section>
      )}
      {said.length > 0 && <Rows rows={said} />}
    </details>
  );
}

function Rows({ rows: pairs }: { rows: [string, string][] }): JSX.Element {
  return (
    <dl>
      {pairs.map(([key, value]) => (
        <div key={key}>
          <dt>{key}</dt>
          <dd>
            <LinkedText text={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
