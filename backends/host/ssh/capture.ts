// SPDX-License-Identifier: Apache-2.0

/** What one output of a command printed, divided by the line that says that the script may come. */
export interface Capture {
  add(chunk: Buffer): void;
  /** The line has been seen. */
  readonly ready: boolean;
  /** What came before the line. */
  readonly before: string;
  /** What came after it. */
  readonly after: string;
  /** More came than is kept. */
  readonly overflowed: boolean;
}

/** Login scripts may say something, not tell novels. */
const MAX_BEFORE = 64 * 1024;

export function capture(readyLine: string, maxBytes: number): Capture {
  const mark = Buffer.from(`${readyLine}\n`);
  let before = Buffer.alloc(0);
  let ready = false;
  let size = 0;
  const chunks: Buffer[] = [];
  const keep = (chunk: Buffer) => {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
  };
  return {
    add(chunk) {
      if (ready) return keep(chunk);
      before = Buffer.concat([before, chunk]).subarray(0, MAX_BEFORE + mark.length);
      const at = before.indexOf(mark);
      if (at < 0) return;
      ready = true;
      keep(before.subarray(at + mark.length));
      before = before.subarray(0, at);
    },
    get ready() {
      return ready;
    },
    get before() {
      return before.toString();
    },
    get after() {
      return Buffer.concat(chunks).toString();
    },
    get overflowed() {
      return size > maxBytes || (!ready && before.length > MAX_BEFORE);
    },
  };
}
