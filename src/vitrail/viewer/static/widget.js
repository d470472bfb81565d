/**
 * In a notebook: the page in a frame of its own, which asks the kernel for bytes and tells it what is looked at.
 *
 * The frame is sandboxed without an origin: it reaches neither the notebook nor any server, but for the one channel that
 * is handed to it here. This module is what anywidget loads; it stands alone, without the page's map of names.
 * @module
 */

/**
 * What anywidget hands over; the part of it that is used.
 * @typedef {Object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(content: unknown) => void} send
 * @property {(event: string, heard: (content: any, buffers: DataView[]) => void) => void} on
 * @property {(event: string, heard: (content: any, buffers: DataView[]) => void) => void} off
 */

/** Views of all widgets on a page, counted: each hears only its own answers. */
let views = 0;

/**
 * @param {{model: Model, el: HTMLElement}} given
 * @returns {() => void} how to take the view away
 */
function render({ model, el }) {
  views += 1;
  const view = `${views}-${Math.random().toString(36).slice(2)}`;
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.title = "Vitrail: what heads attend to";
  Object.assign(frame.style, { width: "100%", height: `${model.get("height")}px`, border: "0" });
  /** @type {MessagePort | null} */
  let port = null;

  /** @param {MessageEvent} event the frame says that it is there */
  const greeted = (event) => {
    if (event.source !== frame.contentWindow || event.data !== "vitrail") return;
    port?.close();
    const channel = new MessageChannel();
    port = channel.port1;
    port.onmessage = ({ data }) => {
      if (data.selection) {
        model.set("selection", data.selection);
        model.save_changes();
      } else {
        model.send({ view, call: data.call, id: data.id, start: data.start, end: data.end });
      }
    };
    frame.contentWindow?.postMessage("vitrail", "*", [channel.port2]);
  };

  /** @param {{view: string, call: number, error?: string}} content @param {DataView[]} buffers */
  const answered = (content, buffers) => {
    if (content.view !== view || !port) return;
    const [part] = buffers ?? [];
    const bytes = part ? part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength) : null;
    port.postMessage({ call: content.call, error: content.error, bytes });
  };

  window.addEventListener("message", greeted);
  model.on("msg:custom", answered);
  frame.srcdoc = model.get("page");
  el.append(frame);
  return () => {
    window.removeEventListener("message", greeted);
    model.off("msg:custom", answered);
    port?.close();
    frame.remove();
  };
}

export default { render };
