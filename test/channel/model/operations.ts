/** What a step does: the call on the channel, then the same on the model. `a` and `b` choose among what there is. */
import type { ItemBuffer } from '../../../lib/channel/index.js'
import { seededRandom } from '../../../lib/util/index.js'
import type { BatchChannel } from './makers.js'
import { type Call, check } from './model-types.js'
import { payloadOf, scribble, sizeFor } from './payloads.js'
import type { Player, TakenPair } from './player.js'
import { makeTuning, type Op } from './setup.js'

type Operation = (player: Player, a: number, b: number) => void | Promise<void>

const DELAYS_MS = [0, 0, 1, 1, 2, 5, 8, 10, 20, 50, 90, 100, 100, 500, 5000]
const TIMEOUTS_MS = [1, 3, 10, 60, 400]

/** A time-out, for one call in three; else undefined. */
function timeoutFor(player: Player, b: number): number | undefined {
  return b % 3 === 0 ? player.uniqueMs(TIMEOUTS_MS[(b >> 5) % TIMEOUTS_MS.length] as number) : undefined
}

/** A signal for one call in three, aborted already for one in thirty. */
function controllerFor(b: number): AbortController | null {
  if ((b >> 2) % 3 !== 0) return null
  const controller = new AbortController()
  if ((b >> 4) % 10 === 0) controller.abort('mine')
  return controller
}

function isAborted(controller: AbortController | null): boolean {
  return controller?.signal.aborted === true
}

function waitOptions(controller: AbortController | null, timeoutMs: number | undefined) {
  return controller === null ? { timeoutMs } : { signal: controller.signal, timeoutMs }
}

/** A writer that gave up frees its place one microtask later: until then nobody can say whether a write passes. */
function isUncertain({ model }: Player): boolean {
  const { continuations, writers } = model
  return writers.length === 0 && continuations.length > 0 && continuations.every(({ error }) => error !== null)
}

function itemOf(player: Player, record: { n: number; bytes: number; charge: number }): unknown {
  const { kind, copyOnWrite } = player.setup
  return kind === 'bytes' ? payloadOf(record, copyOnWrite) : record
}

function write(player: Player, a: number): void {
  if (isUncertain(player)) return
  const { setup, model, channel } = player
  const record = player.newRecord(sizeFor(setup, a))
  const item = itemOf(player, record)
  const result = player.attempt(() => channel.write(item))
  if (setup.kind === 'bytes' && setup.copyOnWrite) scribble(record)
  const actual = typeof result === 'boolean' ? `ok:${result}` : result
  const expected = model.write(record)
  player.tell(() => `write ${record.n} (${record.bytes} B): ${actual}`)
  check(actual === expected, () => `write ${record.n}: ${actual}, not ${expected}`)
}

async function writeAsync(player: Player, a: number, b: number): Promise<void> {
  if (isUncertain(player)) await player.settle()
  const { setup, model, channel } = player
  const record = player.newRecord(sizeFor(setup, a))
  const item = itemOf(player, record)
  const controller = controllerFor(b)
  const timeoutMs = timeoutFor(player, b)
  const call = player.begin('writeAsync', controller)
  player.tell(() => `writeAsync #${call.id} of ${record.n} (${record.bytes} B), ${tellWait(controller, timeoutMs)}`)
  const wait = waitOptions(controller, timeoutMs)
  const promise = player.attempt(() => channel.writeAsync(item, wait)) as Promise<boolean>
  player.watch(call, promise, (isBelow) => `ok:${isBelow}`)
  if (setup.kind === 'bytes' && setup.copyOnWrite) scribble(record)
  model.writeAsync(call, record, timeoutMs ?? player.blockMs, isAborted(controller))
}

function tellWait(controller: AbortController | null, timeoutMs: number | undefined): string {
  const abort = controller === null ? '' : isAborted(controller) ? ', aborted before' : ', with a signal'
  return `${timeoutMs === undefined ? 'no time-out' : `time-out ${timeoutMs.toFixed(4)} ms`}${abort}`
}

function abort(player: Player, a: number): void {
  const able = player.calls.filter(({ controller }) => controller !== null && !isAborted(controller))
  const call = able[a % (able.length || 1)]
  if (call === undefined) return
  player.tell(() => `abort #${call.id}`)
  player.attempt(() => call.controller?.abort('mine'))
  // The calls of one iterator share a signal.
  for (const one of player.calls) if (one.controller === call.controller) player.model.giveUp(one, 'aborted')
}

function seal(player: Player): void {
  const isSealed = player.attempt(() => player.channel.seal())
  player.tell(() => `seal: ${isSealed}`)
  const expected = player.model.seal('seal() was called')
  check(isSealed === expected, () => `seal: ${isSealed}, not ${expected}`)
}

function update(player: Player, a: number): void {
  const { model, channel } = player
  const changes = makeTuning(seededRandom(a))
  const next = { ...model.tuning, ...changes }
  player.tell(() => `updateConfig ${JSON.stringify(changes, (_, value) => (value === Infinity ? 'Infinity' : value))}`)
  const isValid = next.threshold <= next.timeWeight + next.sizeWeight
  const version = player.attempt(() => channel.updateConfig(player.tuningFor(changes)))
  if (isValid) player.updated(next)
  const expected = isValid ? model.configVersion : 'INVALID_CONFIG'
  check(version === expected, () => `updateConfig: ${version}, not ${expected}`)
}

const BAD = [
  { fillPercent: 0 },
  { fillPercent: 101 },
  { windowMs: -1, maxRecords: 1 },
  { maxRecords: 0 },
  { maxBytes: 1.5 },
  { timeWeight: 0, sizeWeight: 0 },
  { switchStrategy: 'never' },
  { lingerMs: 1 },
]

function badUpdate(player: Player, a: number): void {
  const changes = BAD[a % BAD.length] as object
  player.tell(() => `updateConfig ${JSON.stringify(changes)}`)
  const result = player.attempt(() => player.channel.updateConfig(changes))
  check(result === 'INVALID_CONFIG', () => `updateConfig ${JSON.stringify(changes)}: ${result}`)
}

function ready(player: Player, _a: number, b: number): void {
  const controller = controllerFor(b)
  const timeoutMs = timeoutFor(player, b)
  const call = player.begin('ready', controller)
  player.tell(() => `ready #${call.id}, ${tellWait(controller, timeoutMs)}`)
  player.watch(call, player.channel.ready(waitOptions(controller, timeoutMs)), () => 'ok')
  player.model.ready(call, timeoutMs ?? Number.POSITIVE_INFINITY, isAborted(controller))
}

function advance(player: Player, a: number): void {
  const { switchStrategy, windowMs } = player.model.tuning
  const delayMs = DELAYS_MS[a % DELAYS_MS.length] as number
  // A strategy function without a window is asked each millisecond.
  const ms = switchStrategy === 'own' && windowMs < 10 ? Math.min(20, delayMs) : delayMs
  player.tell(() => `advance ${ms} ms`)
  player.advance(ms)
}

function turn(player: Player): void {
  player.tell(() => 'turn')
  player.turn()
}

async function close(player: Player, a: number, b: number): Promise<void> {
  const { channel, model, closing } = player
  const isDraining = a % 3 !== 0
  const wholeMs = [0, 5, 50, 1000][b % 4] as number
  const timeoutMs = wholeMs === 0 ? 0 : player.uniqueMs(wholeMs)
  player.tell(() => `close, ${isDraining ? `time-out ${timeoutMs.toFixed(4)} ms` : 'drain: false'}`)
  const promise = player.attempt(() => channel.close({ timeoutMs, drain: isDraining })) as Promise<unknown>
  if (closing !== null) {
    check(promise === closing, () => 'the second close gives another promise')
    return
  }
  player.closing = promise
  const call = player.begin('close', null)
  player.watch(
    call,
    promise,
    ({ delivered, undelivered }: Closed) => `delivered ${delivered}, undelivered ${undelivered}`,
  )
  model.close(call, timeoutMs, isDraining)
}

interface Closed {
  readonly delivered: number
  readonly undelivered: number
}

// --- record by record ----------------------------------------------------------------------------------------------

function tryRead(player: Player): void {
  const item = player.attempt(() => player.channel.tryRead())
  const record = player.model.tryRead()
  player.tell(() => `tryRead: ${record === undefined ? 'nothing' : record.n}`)
  if (record === undefined) check(item === undefined, () => 'tryRead gave what is not there')
  else {
    check(typeof item === 'object', () => `tryRead gave ${item}, not record ${record.n}`)
    player.received(item, record)
  }
}

function read(player: Player, a: number, b: number): void {
  // A time-out of exactly 0: nothing else is due now, and it is over before anything else happens.
  const isNow = a % 12 === 0
  if (isNow) player.advance(0)
  const controller = controllerFor(b)
  const timeoutMs = isNow ? 0 : timeoutFor(player, b)
  const call = player.begin('read', controller)
  player.tell(() => `read #${call.id}, ${tellWait(controller, timeoutMs)}`)
  const promise = player.attempt(() => player.channel.read(waitOptions(controller, timeoutMs))) as Promise<unknown>
  player.watch(call, promise, (item) => [item])
  player.model.read(call, 1, timeoutMs ?? Number.POSITIVE_INFINITY, isAborted(controller))
  if (isNow) player.advance(0)
}

function readBatch(player: Player, a: number, b: number): void {
  const max = [1, 2, 3, 10, Number.POSITIVE_INFINITY][a % 5] as number
  const controller = controllerFor(b)
  const timeoutMs = timeoutFor(player, b)
  const call = player.begin('batch', controller)
  player.tell(() => `readBatch #${call.id} of ${max}, ${tellWait(controller, timeoutMs)}`)
  const wait = waitOptions(controller, timeoutMs)
  const promise = player.attempt(() => player.channel.readBatch(max, wait)) as Promise<unknown>
  player.watch(call, promise, (items: readonly unknown[]) => items)
  player.model.read(call, max, timeoutMs ?? Number.POSITIVE_INFINITY, isAborted(controller))
}

function badBatch(player: Player, a: number): void {
  const call = player.begin('batch', null)
  call.expected = 'INVALID_CONFIG'
  player.watch(call, player.channel.readBatch([0, -1, 1.5, Number.NaN][a % 4] as number), () => 'ok')
}

function onData(player: Player): void {
  const { subscriptions } = player
  if (subscriptions.all.length >= 4) return
  player.tell(() => `onData ${subscriptions.all.length + 1}`)
  subscriptions.add()
}

function off(player: Player, a: number): void {
  const { all } = player.subscriptions
  if (all.length === 0) return
  player.tell(() => `unsubscribe ${(a % all.length) + 1}`)
  all[a % all.length]?.off()
}

/** A promise of a callback settles: what follows from it must not meet anything else that is half done. */
async function finish(player: Player, a: number, b: number): Promise<void> {
  const { running } = player.subscriptions
  if (running.length === 0) return
  await player.settle()
  if (running.length === 0) return
  player.tell(() => `a callback's promise ${b % 4 === 0 ? 'rejects' : 'resolves'}`)
  player.subscriptions.settle(a % running.length, b % 4 === 0)
  await player.settle()
}

function iterate(player: Player, _a: number, b: number): void {
  if (player.iterators.length >= 3) return
  const controller = controllerFor(b)
  const iterator = player.channel.register(controller === null ? {} : { signal: controller.signal })
  player.iterators.push({ iterator, model: { isDone: false }, controller })
  player.tell(() => `iterator ${player.iterators.length}`)
}

function next(player: Player, a: number): void {
  const { iterators } = player
  const one = iterators[a % (iterators.length || 1)]
  if (one === undefined) return
  const call = player.begin('next', one.controller, one.model)
  player.tell(() => `next #${call.id} of iterator ${(a % iterators.length) + 1}`)
  const promise = player.attempt(() => one.iterator.next()) as Promise<unknown>
  player.watch(call, promise, ({ done, value }: IteratorResult<unknown>) => (done === true ? 'done' : [value]))
  player.model.read(call, 1, Number.POSITIVE_INFINITY, isAborted(one.controller))
}

function leave(player: Player, a: number): void {
  const { iterators } = player
  const one = iterators[a % (iterators.length || 1)]
  if (one === undefined) return
  const call: Call = player.begin('next', null, null)
  call.expected = 'done'
  player.tell(() => `return of iterator ${(a % iterators.length) + 1}`)
  const promise = player.attempt(() => one.iterator.return?.()) as Promise<unknown>
  player.watch(call, promise, () => 'done')
  player.model.leaveIterator(one.model)
}

// --- leases --------------------------------------------------------------------------------------------------------

function release(player: Player, a: number): void {
  const { held } = player
  const [one] = held.splice(a % (held.length || 1), 1)
  if (one === undefined) return
  player.tell(() => `release ${one.record.n}`)
  player.release(one)
}

function releaseTwice(player: Player, a: number): void {
  const one = player.held[a % (player.held.length || 1)]
  if (one === undefined) return
  player.tell(() => `release ${one.record.n}, and again later`)
  player.release(one)
}

// --- whole batches -------------------------------------------------------------------------------------------------

function batches(player: Player): BatchChannel {
  return player.channel as unknown as BatchChannel
}

function take(player: Player): void {
  const buffer = player.attempt(() => batches(player).take()) as ItemBuffer<never> | undefined
  const model = player.model.take()
  player.tell(() => `take: ${model === undefined ? 'nothing' : model.records.map(({ n }) => n)}`)
  const isSame = buffer?.items.length === model?.records.length && buffer?.sequence === model?.sequence
  check(isSame, () => `took buffer ${buffer?.sequence}, not ${model?.sequence}`)
  if (buffer === undefined || model === undefined) return
  for (const [at, record] of model.records.entries()) player.received(buffer.items[at], record)
  player.taken.push({ buffer, model })
}

function takenOne(player: Player, a: number): TakenPair | undefined {
  return player.taken.splice(a % (player.taken.length || 1), 1)[0]
}

function putBack(player: Player, a: number): void {
  const one = takenOne(player, a)
  if (one === undefined) return
  player.tell(() => `putBack ${one.model.records.map(({ n }) => n)}`)
  player.attempt(() => batches(player).putBack(one.buffer))
  player.model.putBack(one.model)
}

function recycle(player: Player, a: number): void {
  const one = takenOne(player, a)
  if (one === undefined) return
  player.tell(() => `recycle ${one.model.records.map(({ n }) => n)}`)
  player.attempt(() => batches(player).recycle(one.buffer))
  player.model.recycle(one.model)
}

function recycleTwice(player: Player, a: number): void {
  const buffer = player.taken[a % (player.taken.length || 1)]?.buffer
  if (buffer === undefined) return
  recycle(player, a)
  const result = player.attempt(() => batches(player).recycle(buffer))
  check(String(result).includes('twice'), () => `a buffer was recycled twice: ${result}`)
}

export const operations: { readonly [K in Op]: Operation } = {
  write,
  writeAsync,
  abort,
  seal,
  update,
  badUpdate,
  ready,
  advance,
  turn,
  close,
  tryRead,
  read,
  readBatch,
  badBatch,
  onData,
  off,
  finish,
  iterate,
  next,
  return: leave,
  release,
  releaseTwice,
  take,
  putBack,
  recycle,
  recycleTwice,
}
