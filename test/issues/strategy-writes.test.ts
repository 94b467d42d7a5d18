/**
 * A switch strategy that writes into its own channel: the inner write made the buffer due, the outer one then armed a
 * deadline for a buffer that was due already, and the timer's assertion ended the process.
 */
import { expect, it } from 'vitest'
import { type ChannelBuffer, channelSettings, DoubleBufferChannel } from '../../lib/channel/index.js'
import { FakeClock } from '../../lib/util/index.js'

it('CH-7: a strategy may write while it is asked', () => {
  const clock = new FakeClock()
  let depth = 0
  const write = () => {
    channel.active.records++
    channel.wrote()
  }
  const switchStrategy = () => {
    if (depth++ > 0) return true
    write()
    return false
  }
  let due = 0
  const owner = {
    createBuffer: (): ChannelBuffer => ({ records: 0, bytes: 0, sequence: -1, firstAtMs: 0 }),
    onDue: () => due++,
  }
  const channel: DoubleBufferChannel<ChannelBuffer> = new DoubleBufferChannel(
    owner,
    channelSettings({ switchStrategy, windowMs: 5 }),
    { clock, sealOn: 'demand' },
  )
  write()
  clock.advance(20)
  expect({ due, isDue: channel.isDue, records: channel.active.records }).toEqual({ due: 1, isDue: true, records: 2 })
})
