/** What the processes of the network benchmark say to each other. */

/** Who echoes: ours, node:net with frames built by hand, node:net that writes back the bytes as they came. */
export const ECHOES = ['tandem', 'plain', 'plain-view'] as const
/** What WebSocket costs: ours with it, ours behind a length alone. */
export const WEB_ECHOES = ['websocket', 'tandem'] as const
export type Echo = (typeof ECHOES)[number] | (typeof WEB_ECHOES)[number]

export interface ServerJob {
  readonly echo: Echo
  readonly idleMs: number
}

/** Of connections that were closed because they were silent. Milliseconds, counted from the last message to `onClose`. */
export interface Reaped {
  readonly count: number
  /** Closed for another reason. */
  readonly others: number
  readonly soonestMs: number
  readonly latestMs: number
}

/** What a server process answers to `figures`. */
export interface ServerFigures {
  readonly connections: number
  readonly cpuMicroseconds: number
  readonly rssBytes: number
  readonly reaped: Reaped
}

export type ToServer = { readonly kind: 'start'; readonly job: ServerJob } | { readonly kind: 'figures' }

export interface ClientJob {
  readonly port: number
  /** How frames are written. */
  readonly wire: 'length' | 'websocket'
  /** Each echo is compared byte by byte, and each connection says something else; false: the first echo only. */
  readonly comparesAll: boolean
  readonly connections: number
  /** Of one message, without its length. 0 = connections that say nothing. */
  readonly messageBytes: number
  /** Instead: each connection says one message when all are open, and is silent until the server closes it. */
  readonly fallsSilent: boolean
  readonly warmupMs: number
  readonly measureMs: number
}

/** A client process counts; whoever runs it asks the server at both marks. */
export type FromClient =
  | { readonly kind: 'begin' }
  | { readonly kind: 'closed'; readonly closed: number }
  | { readonly kind: 'end'; readonly messages: number; readonly nanoseconds: number; readonly wrong: number }
