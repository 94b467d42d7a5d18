/** What the processes of the network benchmark say to each other. */

/** Who echoes: ours, node:net with frames built by hand, node:net that writes back the bytes as they came. */
export const ECHOES = ['tandem', 'plain', 'plain-view'] as const
export type Echo = (typeof ECHOES)[number]

export interface ServerJob {
  readonly echo: Echo
  readonly idleMs: number
}

/** What a server process answers to `figures`. */
export interface ServerFigures {
  readonly connections: number
  readonly cpuMicroseconds: number
  readonly rssBytes: number
}

export type ToServer = { readonly kind: 'start'; readonly job: ServerJob } | { readonly kind: 'figures' }

export interface ClientJob {
  readonly port: number
  readonly connections: number
  /** Of one message, without its length. 0 = connections that say nothing. */
  readonly messageBytes: number
  readonly warmupMs: number
  readonly measureMs: number
}

/** A client process counts; whoever runs it asks the server at both marks. */
export type FromClient =
  | { readonly kind: 'begin' }
  | { readonly kind: 'end'; readonly messages: number; readonly nanoseconds: number; readonly wrong: number }
