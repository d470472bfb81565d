/**
 * The words that the modules of this page share; types only, checked by `tsc --noEmit`.
 *
 * Data flows one way:
 *
 *     source.read(start, end) ─► trace.js ─► heads.js (worker: kernel.js) ─► looks.js ─► drawings/*.js
 *                                                   store.js: what is looked at ─────────┘
 *
 * @module
 */

/**
 * Where bytes of a trace come from; the only thing in which hosts differ.
 * @typedef {Object} Source
 * @property {string} name what people call it: a file's name
 * @property {(start: number, end: number) => Promise<ArrayBuffer>} read bytes from start up to, not including, end;
 *   fewer where the file ends
 */

/**
 * What queries or keys stand at (docs/trace-format.md, "An axis").
 * @typedef {Object} Axis
 * @property {string} name
 * @property {"tokens" | "patches" | "frames" | "latents"} kind
 * @property {number} length
 * @property {string[] | null} texts as people read them, with their leading space
 * @property {Int32Array | null} words which word each token is of; -1 for none
 * @property {Uint8Array | null} special flags of tokens that the model added
 * @property {Int32Array | null} segments 0 for sentence A, 1 for B; -1 for none
 * @property {Int32Array | null} offsets [n 2]: where each token begins and ends in its text
 * @property {[number, number] | null} grid rows and columns of patches
 * @property {[number, number] | null} patch height and width of one patch, in pixels
 * @property {Int32Array | null} places which patch each position is; -1 for CLS and registers
 * @property {Uint8Array | null} hidden [rows · columns]: patches that the encoder didn't see
 * @property {string | null} image which image of the trace the patches are of
 */

/**
 * What the capture computed of every head of a layer.
 * @typedef {Object} Digest
 * @property {string[]} names of scores
 * @property {Float32Array[]} scores by name's place: [h]; NaN where one says nothing about this input
 * @property {(number | null)[]} uniform what attending everywhere alike would give; null for nothing
 * @property {number[]} counts over how many queries each is the mean
 * @property {{rows: number, columns: number, data: Uint8Array}} thumbnails [h rows columns], 255 · sqrt(mass)
 */

/**
 * @typedef {Object} Layer
 * @property {number} index in its stream, from 0
 * @property {string} name path of the module in its model
 * @property {number} heads
 * @property {number} queries how many positions ask
 * @property {number} keys how many positions are asked
 * @property {string} queryAxis name of the axis
 * @property {string} keyAxis name of the axis
 * @property {Digest | null} digest
 * @property {number | null} errorModel largest difference between the model's weights and those recomputed; null: not measured
 * @property {number | null} errorStored what rounding to what is stored adds; null: not measured
 * @property {Record<"weights" | "g" | "v" | "vo" | "hidden", boolean>} has what this layer keeps
 */

/**
 * @typedef {Object} Stream
 * @property {string} name encoder, decoder, cross, mae-decoder, …
 * @property {Layer[]} layers
 */

/**
 * What a model says at each query of a stream, and what it would say after each layer: the logit lens.
 * @typedef {Object} Predictions
 * @property {"next token" | "token" | "class"} of the token after each position, the one at it, or a class
 * @property {number} positions one for each query, or 1 for the whole input
 * @property {(position: number, layer?: number) => {text: string, probability: number}[]} likeliest the likeliest first;
 *   after a layer's block where one is given, and none where there is no lens
 * @property {number} layers of the lens; 0 without one
 */

/**
 * @typedef {Object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} data [H W 3]
 */

/**
 * @typedef {Object} Provenance
 * @property {string} model
 * @property {string} weights
 * @property {string[]} texts
 * @property {string | null} target
 * @property {string | null} revision
 * @property {string} precision
 * @property {number | null} seed
 * @property {Record<string, string>} versions
 * @property {Record<string, string>} notes
 * @property {number | null} step how many steps of training the model had done, where it was being trained
 */

/**
 * One head's numbers: everything that the kernel needs, and nothing that a worker can't be sent.
 * @typedef {Object} Head
 * @property {number} queries
 * @property {number} keys
 * @property {number} width of a query
 * @property {number} valueWidth of a value; 0 without values
 * @property {Float32Array} q [queries width]
 * @property {Float32Array} k [keys width]
 * @property {Float32Array | null} v [keys valueWidth]
 * @property {Float32Array | null} g [queries valueWidth]: dL/d(the head's output)
 * @property {Float32Array | null} vo [keys]: norm of each value after the output projection
 * @property {Float64Array} lse [queries]; NaN until it is needed where the trace hasn't it (kernel().lse computes it)
 * @property {number | null} sink one more logit, which takes its share of the softmax and is no key
 * @property {Float32Array | null} weights [queries keys], where the model's own were shipped
 * @property {number} scale
 * @property {number | null} softcap
 * @property {"before mask" | "after mask"} softcapOrder
 * @property {{kind: "none" | "toeplitz" | "slopes" | "keys" | "dense", values: Float32Array}} bias of this head
 * @property {{rule: string, offset: number, before: number | null, after: number | null, length: number,
 *   queryBlocks: Int32Array | null, keyBlocks: Int32Array | null, bits: Uint8Array | null}} mask of this head
 */

/**
 * A trace that was opened (trace.js). What can't be read or isn't there: a TraceError of one sentence.
 * @typedef {Object} OpenTrace
 * @property {string} name
 * @property {number} bytes of the whole file
 * @property {Provenance} provenance
 * @property {Stream[]} streams
 * @property {Map<string, Axis>} axes
 * @property {string[]} images names
 * @property {(name: string) => Stream} stream
 * @property {(name: string) => Axis} axis
 * @property {(stream: string, layer: number) => Layer} layer
 * @property {(stream: string, layer: number, head: number) => Promise<Head>} head read when it is asked for; those that
 *   are asked for in one moment are read together
 * @property {(stream: string, layer: number, head: number, query: number, key: number) => Promise<Head>} link one query and
 *   one key of a head, as a head of one of each: a few numbers, where the head itself may be megabytes
 * @property {(name: string) => Promise<Picture>} image
 * @property {(stream: string) => Promise<Predictions | null>} predictions null where the trace has none
 */

/** @typedef {"weight" | "score" | "gradient" | "weight-gradient" | "weight-value" | "difference"} Quantity */

/**
 * The keys that carry most of each query: the smallest set with `share` of its mass, at most `most`.
 * @typedef {Object} Strongest
 * @property {Int32Array} start [queries + 1]: where each query's keys begin
 * @property {Int32Array} keys
 * @property {Float32Array} values
 * @property {Float32Array} rest [queries]: the mass that isn't in them
 */

/**
 * Positions that correspond, in the order of both axes (align.js).
 * @typedef {{first: Int32Array, second: Int32Array}} Alignment
 */

/**
 * A matrix that is computed when it is asked for: of a head, between words, or one less another (kernel.js).
 * @typedef {{of: "head", head: Head, quantity: Exclude<Quantity, "difference">}
 *   | {of: "words", base: Matrix, queryStarts: Int32Array, keyStarts: Int32Array, summed: boolean}
 *   | {of: "difference", first: Matrix, second: Matrix, queries: Int32Array, keys: Int32Array}} Matrix
 */

/**
 * Who computes what needs many rows (worker.js). What was asked last comes first.
 * @typedef {Object} Crew
 * @property {(matrix: Matrix, asked: import("vitrail/jobs.js").Asked) => Promise<any>} run
 * @property {() => void} drop what waits is forgotten, and never answered: for when the page shows something else
 * @property {() => void} close
 */

/**
 * One head's matrix under one quantity, ready to be drawn. Positions may be words instead of tokens: drawings don't know.
 * @typedef {Object} Look
 * @property {string} name "3.5"
 * @property {number} head
 * @property {number} queries
 * @property {number} keys
 * @property {boolean} signed values may be negative; 0 is no effect
 * @property {(query: number) => Float32Array} row at once: at most a few ms at 4,096 keys. Where a query may not look, a
 *   weight (and what is made of weights) is 0, a score or a gradient NaN; a difference is NaN where nothing corresponds
 * @property {(query: number, key: number) => number} entry
 * @property {(key: number) => Promise<Float32Array>} column
 * @property {(share: number, most: number, rows?: [number, number]) => Promise<Strongest>} strongest of all queries, or of
 *   some, from rows[0] up to, not including, rows[1], which are counted from 0 in what comes: those on the screen cost little
 * @property {(rows: [number, number], columns: [number, number], cells: [number, number]) => Promise<Float32Array>} pooled
 *   a part of the matrix in so many cells [r c]: the value of largest magnitude in each; NaN where no query may look
 * @property {() => Promise<number>} largest the largest magnitude of a finite value
 * @property {() => Promise<{rows: Float32Array, columns: Float32Array}>} sums of each query's row and of each key's column
 */

/** @typedef {"lines" | "matrix" | "text" | "image" | "arithmetic" | "model" | "atlas"} Drawing */

/**
 * What is looked at: all of it, and nothing else, is in the store; all but `hover` and `busy` is in the address.
 * @typedef {Object} State
 * @property {string} trace which of the page's traces
 * @property {string} other the trace beside it, for comparison; "" for none
 * @property {boolean} swapped the other is shown in the place of the first (hold Space)
 * @property {string} stream
 * @property {number} layer
 * @property {number} head
 * @property {number[]} heads the heads of this layer whose lines are drawn; `head` is one of them
 * @property {Drawing} drawing
 * @property {Quantity} quantity
 * @property {number} query the locked query; -1 for none
 * @property {number} key the locked key; -1 for none
 * @property {[number, number] | null} pin a pair from → to by which the map of heads is coloured
 * @property {string} score by which the map is coloured: a score's name, "role" or "change"
 * @property {boolean} words words instead of tokens
 * @property {boolean} special tokens that the model added are shown
 * @property {"all" | "aa" | "ab" | "ba" | "bb"} sentences
 * @property {string} theme "", "light" or "dark"
 * @property {{query: number, key: number} | null} hover what the pointer is on; -1: nothing on that side
 */

/**
 * @typedef {Object} Store
 * @property {() => State} get
 * @property {(patch: Partial<State>) => void} set
 * @property {(listener: (state: State, changed: Set<keyof State>) => void) => () => void} subscribe
 *   told once a change, with what changed; gives back how to stop
 */

/**
 * What a drawing gets. It subscribes to the store for `hover`, `query` and `key` by itself (hover beats lock);
 * whenever anything else changes, it is cleaned up and drawn anew.
 * @typedef {Object} Scene
 * @property {Store} store
 * @property {Axis} queries of words where words are shown
 * @property {Axis} keys
 * @property {boolean} same queries and keys are the same positions
 * @property {Look[]} looks one for each of the chosen heads; the first is `state.head`
 * @property {string[]} colours one for each look, as CSS
 * @property {Head} numbers of the first look: what Arithmetic takes apart
 * @property {Uint8Array} shownQueries flags: special tokens and the other sentence may be left out
 * @property {Uint8Array} shownKeys flags
 * @property {{label: string, legend: string, signed: boolean}} quantity in words
 * @property {Picture | null} picture what patches were cut from
 * @property {Record<string, Picture>} [pictures] all images of the trace: "reconstruction" is a masked autoencoder's
 * @property {() => Promise<Look[]>} [every] all heads of this layer, whichever are chosen
 * @property {() => Promise<Look>} [rollout] what of each position of the input has reached each after this layer
 * @property {Ramp} ramp
 */

/**
 * What a head is for (roles.js), and its colour.
 * @typedef {Object} Named
 * @property {string} role "unclear" for none
 * @property {string} colour as CSS
 * @property {number} score the share of attention that names it; NaN where nothing is known
 * @property {number} uniform what uniform attention would have
 * @property {string} evidence the figures, in words
 * @property {string} nearest of an unclear head: the role that its score is of, if any
 */

/**
 * What the drawings of all heads of a stream get. They follow `layer` and `head` of the store by themselves.
 * @typedef {Object} Overview
 * @property {Store} store
 * @property {Stream} stream
 * @property {Named[][]} roles [layer][head]
 * @property {Ramp} ramp
 */

/**
 * From values to colours, in the theme's.
 * @typedef {Object} Ramp
 * @property {(value: number, largest: number) => string} sequential 0 … largest, by the square root
 * @property {(value: number, largest: number) => string} signed -largest … largest, by the square root of the magnitude
 * @property {(value: number, largest: number, signed: boolean) => [number, number, number]} rgb for pixels
 * @property {string} ink of text
 * @property {string} quiet of text that matters less
 * @property {string} faint of rules and stubs
 * @property {string} paper behind everything
 * @property {string} accent of the selection
 */

/**
 * Draws on a canvas or writes SVG: a picture is painted once and goes to both.
 * @typedef {Object} Pen
 * @property {(x1: number, y1: number, x2: number, y2: number, colour: string, width?: number, alpha?: number) => void} line
 * @property {(points: number[], colour: string, width?: number, alpha?: number) => void} curve cubic Bézier: 8 numbers
 * @property {(x: number, y: number, width: number, height: number, colour: string, alpha?: number) => void} rect
 * @property {(x: number, y: number, radius: number, colour: string) => void} disc
 * @property {(x: number, y: number, width: number, height: number, colour: string, line?: number) => void} frame
 * @property {(text: string, x: number, y: number, style: {size: number, colour: string, align?: "left" | "right" | "center",
 *   mono?: boolean, weight?: number, turn?: number}) => void} text
 * @property {(image: CanvasImageSource, x: number, y: number, width: number, height: number) => void} image
 */

/**
 * What a drawing gives back.
 * @typedef {Object} Drawn
 * @property {() => void} cleanup
 * @property {(pen: Pen) => {width: number, height: number}} paint what is seen, for PNG and SVG
 * @property {() => Table} table the same as numbers: for CSV, and for those who don't see the picture
 */

/**
 * @typedef {Object} Table
 * @property {string} caption
 * @property {string[]} columns
 * @property {(string | number)[][]} rows
 */

export {};
