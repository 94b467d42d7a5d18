#!/usr/bin/env node
import { processIo } from './process-io.js'
/**
 * The process around the program: its streams, its signals, its exit code.
 * Why `exitCode` and no `exit`: what is written must arrive first. A second signal does not wait any more.
 */
import { main } from './run-main.js'

process.exitCode = await main(process.argv.slice(2), processIo())
// A terminal, or whoever writes on, would keep the process alive although nobody reads any more.
process.stdin.destroy()
