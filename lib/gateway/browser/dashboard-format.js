/** Numbers for people, and curves of the last values. Both of the dashboard; no page is needed to run it. */

const SIZES = ['', 'k', 'M', 'G', 'T']
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/**
 * Three digits, and what they are counted in: 950, 12.3 k, 4.56 M.
 * @param {number} value
 */
export function count(value) {
  const [number, unit] = scaled(value, 1000, SIZES)
  return `${number}${unit === '' ? '' : ` ${unit}`}`
}

/**
 * @param {number} value
 * @returns {[number: string, unit: string]}
 */
export function bytes(value) {
  return scaled(value, 1024, BINARY)
}

/** @param {number} ms */
export function duration(ms) {
  return ms >= 100 ? String(Math.round(ms)) : ms.toFixed(ms >= 10 ? 1 : 2)
}

/**
 * @param {number} value
 * @param {number} base
 * @param {readonly string[]} units
 * @returns {[number: string, unit: string]}
 */
function scaled(value, base, units) {
  let step = 0
  while (Math.abs(value) >= base * 0.9995 && step < units.length - 1) {
    value /= base
    step++
  }
  // Below a thousand things are whole; what is divided keeps three digits.
  const digits = step === 0 ? (Number.isInteger(value) || value >= 100 ? 0 : 1) : value >= 100 ? 0 : value >= 10 ? 1 : 2
  return [value.toFixed(digits), units[step] ?? '']
}

/** The last `size` values, oldest first. */
export class Series {
  /** @type {number[]} */
  values = []

  /** @param {number} size */
  constructor(size) {
    this.size = size
  }

  /** @param {number} value */
  push(value) {
    this.values.push(value)
    if (this.values.length > this.size) this.values.shift()
  }
}

/**
 * A path over a box of `size` by `height`; the newest value at the right edge, 0 at the bottom, `top` one unit below the upper edge.
 * @param {readonly number[]} values
 * @param {{ size: number, height: number, top: number }} box
 * @returns {string} '' for fewer than two values.
 */
export function line(values, { size, height, top }) {
  if (values.length < 2) return ''
  const left = size - values.length
  const points = values.map((value, index) => {
    const y = height - 1 - (top === 0 ? 0 : (value / top) * (height - 2))
    return `${left + index + 1} ${y.toFixed(2)}`
  })
  return `M${points.join('L')}`
}
