/**
 * A folder over HTTP: the pages of the user, and the client module for browsers.
 * Invariants: nothing outside the folder is ever given, whatever the path says and wherever a link leads; names that begin
 * with a dot are not there; a file is streamed, never held.
 * Source: RFC 9110 (HEAD, ETag, If-None-Match), RFC 3986 section 2.1.
 */
import type { Stats } from 'node:fs'
import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
}
const UNKNOWN = 'application/octet-stream'

interface Found {
  readonly path: string
  readonly stats: Stats
}

export class Files {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Answers a GET or HEAD of `path` (as sent, without query). False: there is no such file, nothing was answered. */
  async serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const found = await this.#find(path)
    if (found === undefined) return false
    const etag = etagOf(found.stats)
    response.setHeader('ETag', etag)
    response.setHeader('Cache-Control', 'no-cache')
    response.setHeader('X-Content-Type-Options', 'nosniff')
    if (isKnown(request.headers['if-none-match'], etag)) {
      response.writeHead(304).end()
      return true
    }
    response.setHeader('Content-Type', TYPES[extname(found.path).toLowerCase()] ?? UNKNOWN)
    response.setHeader('Content-Length', found.stats.size)
    response.writeHead(200)
    if (request.method === 'HEAD') response.end()
    // A file that grows meanwhile must not give more than its length says.
    else await pipeline(createReadStream(found.path, { start: 0, end: Math.max(0, found.stats.size - 1) }), response)
    return true
  }

  async #find(asked: string): Promise<Found | undefined> {
    const names = namesOf(asked)
    if (names === undefined) return undefined
    try {
      const root = await realpath(this.#folder)
      // A folder is its page, at an address that ends in a slash: links of the page would lead elsewhere without it.
      const path = join(root, ...names, ...(asked.endsWith('/') ? ['index.html'] : []))
      return await this.#fileAt(root, path)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async #fileAt(root: string, path: string): Promise<Found | undefined> {
    const real = await realpath(path)
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) return undefined
    const stats = await stat(real)
    return stats.isFile() ? { path: real, stats } : undefined
  }
}

/** The names of a path; undefined when one of them could lead anywhere but down, or is none. */
function namesOf(path: string): readonly string[] | undefined {
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return undefined // no valid percent-encoding: the name of nothing
  }
  const names = decoded.split('/').filter((name) => name !== '')
  return names.every(isName) ? names : undefined
}

function isName(name: string): boolean {
  return !name.startsWith('.') && !/[\\:\0]/.test(name)
}

function etagOf({ size, mtimeMs }: Stats): string {
  return `W/"${size.toString(16)}-${Math.round(mtimeMs).toString(16)}"`
}

function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some((known) => known.trim() === etag)
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'EACCES', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')
}
