/**
 * The page of the chat, over the gateway: what is written is published with the addressee as its key, and what comes is one
 * subscription by one's own name. A lost connection is told, and resumed where it broke off.
 * Invariant: what other people wrote becomes text, never markup.
 */
import { connect } from '/tandem-mq.js'

/** @typedef {import('/tandem-mq.js').GatewayClient} GatewayClient */
/** @typedef {import('/tandem-mq.js').GatewayRecord} GatewayRecord */
/** @typedef {import('/tandem-mq.js').GatewayError} GatewayError */
/** @typedef {{ message_id: string, from_user: string, to_user: string, content: string, timestamp: number, message_type: string }} Message */
/** @typedef {{ message: Message, item: HTMLLIElement, fate: HTMLElement }} Line */

const TOPIC = 'chat-messages'
const PEOPLE = ['alice', 'bob', 'carol', 'dave']
/** Lines of one conversation that stay on the page. */
const MAX_LINES = 500
/** A resumed connection gets what came meanwhile within so long. Milliseconds. */
const RESUMED_MS = 1_500
const NOTICE_MS = 8_000

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
function byId(id, type) {
  const found = document.getElementById(id)
  if (found instanceof type) return found
  throw new TypeError(`the page has no ${type.name} ${id}`)
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {string} [text]
 */
function element(tag, className, text = '') {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  return made
}

/** One person's chat, from signing in to signing out. */
class Chat {
  #me
  #client
  /** @type {Map<string, Line[]>} By the other person. */
  #talks = new Map()
  /** @type {Map<string, number>} */
  #unread = new Map()
  #with = ''
  #resumedMs = Number.NEGATIVE_INFINITY
  #whileAway = 0

  /** @param {string} me */
  constructor(me) {
    this.#me = me
    for (const name of PEOPLE) if (name !== me) this.#talks.set(name, [])
    this.open([...this.#talks.keys()][0] ?? me)
    // A service of yours gives a token that proves who somebody is; this one believes a name.
    this.#client = connect('/mq', { token: me, onState: (state) => this.#connection(state) })
    // From the earliest: what came while the page was closed is news as well.
    const options = {
      key: me,
      from: /** @type {const} */ ('earliest'),
      onGap: () => notice('Some messages are gone: they were older than the topic keeps.'),
    }
    this.#client.subscribe([TOPIC], options, (record) => this.#receive(record)).catch((error) => notice(error.message))
  }

  close() {
    this.#client.close()
  }

  /** @param {string} content */
  send(content) {
    /** @type {Message} */
    const message = {
      message_id: newId(),
      from_user: this.#me,
      to_user: this.#with,
      content,
      timestamp: Date.now(),
      message_type: 'text',
    }
    this.#publish(message, this.#add(this.#with, message))
  }

  /** @param {string} person */
  open(person) {
    if (!this.#talks.has(person)) this.#talks.set(person, [])
    this.#with = person
    this.#unread.delete(person)
    byId('with', HTMLHeadingElement).textContent = person
    const list = byId('messages', HTMLOListElement)
    list.replaceChildren(...(this.#talks.get(person) ?? []).map(({ item }) => item))
    list.scrollTop = list.scrollHeight
    this.#showPeople()
  }

  /**
   * @param {Message} message
   * @param {Line} line
   */
  #publish(message, { item, fate }) {
    item.className = 'is-mine is-waiting'
    fate.textContent = 'sending'
    const { to_user, from_user, message_type } = message
    const options = { key: to_user, headers: { message_type, from_user } }
    this.#client.publish(TOPIC, JSON.stringify(message), options).then(
      ({ partition, offset }) => {
        item.className = 'is-mine'
        fate.textContent = `${timeOf(message)}, stored`
        fate.title = `partition ${partition}, offset ${offset}`
      },
      (/** @type {GatewayError} */ error) => {
        item.className = 'is-mine is-in-doubt'
        const isInDoubt = error.persisted === 'possibly-persisted'
        fate.textContent = isInDoubt ? 'may not have arrived ' : `not sent: ${error.message} `
        const again = element('button', 'plain', isInDoubt ? 'send again' : 'try again')
        again.type = 'button'
        // The same id: whoever gets it twice shows it once.
        again.onclick = () => this.#publish(message, { message, item, fate })
        fate.append(again)
      },
    )
  }

  /** @param {GatewayRecord} record */
  #receive({ value }) {
    const message = messageOf(value)
    if (message === null || message.to_user !== this.#me) return // not written by a chat of ours
    const talk = this.#talks.get(message.from_user) ?? []
    if (talk.some((line) => line.message.message_id === message.message_id)) return // sent again in doubt
    if (performance.now() - this.#resumedMs < RESUMED_MS) this.#tellResumed(++this.#whileAway)
    this.#add(message.from_user, message)
    if (message.from_user === this.#with) return
    this.#unread.set(message.from_user, (this.#unread.get(message.from_user) ?? 0) + 1)
    this.#showPeople()
  }

  /**
   * @param {string} person
   * @param {Message} message
   * @returns {Line}
   */
  #add(person, message) {
    const item = element('li', message.from_user === this.#me ? 'is-mine' : '')
    const fate = element('p', 'fate', timeOf(message))
    item.append(element('p', 'bubble', message.content), fate)
    const line = { message, item, fate }
    const talk = this.#talks.get(person) ?? []
    this.#talks.set(person, talk)
    talk.push(line)
    if (talk.length > MAX_LINES) talk.shift()?.item.remove()
    if (person !== this.#with) return line
    const list = byId('messages', HTMLOListElement)
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80
    list.append(item)
    if (isAtEnd || message.from_user === this.#me) list.scrollTop = list.scrollHeight
    return line
  }

  #showPeople() {
    const items = [...this.#talks.keys()].map((person) => {
      const button = element('button', '')
      button.type = 'button'
      button.setAttribute('aria-current', String(person === this.#with))
      button.onclick = () => this.open(person)
      button.append(element('span', 'letter', person.slice(0, 1)), element('span', 'name', person))
      const unread = this.#unread.get(person) ?? 0
      if (unread > 0) {
        const count = element('span', 'unread', String(unread))
        count.setAttribute('aria-label', `${unread} unread`)
        button.append(count)
      }
      const item = element('li', '')
      item.append(button)
      return item
    })
    byId('people', HTMLUListElement).replaceChildren(...items)
  }

  /** @param {import('/tandem-mq.js').ClientState} state */
  #connection({ state, connections, retryMs = 0 }) {
    const shown = byId('state', HTMLParagraphElement)
    shown.dataset.state = state
    shown.textContent = state === 'open' ? 'connected' : state === 'waiting' ? 'reconnecting' : state
    if (state === 'waiting') {
      notice(`The connection is lost; next attempt in ${Math.ceil(retryMs / 1000)} s. What you write is sent then.`)
    } else if (state === 'open' && connections > 1) {
      this.#resumedMs = performance.now()
      this.#whileAway = 0
      this.#tellResumed(0)
    }
  }

  /** @param {number} count */
  #tellResumed(count) {
    const news = count === 0 ? 'nothing was missed' : `${count} ${count === 1 ? 'message' : 'messages'} came meanwhile`
    notice(`Connected again: ${news}.`, NOTICE_MS)
  }
}

/** @param {import('/tandem-mq.js').Payload} value @returns {Message | null} */
function messageOf(value) {
  if (typeof value !== 'string') return null
  try {
    const message = JSON.parse(value)
    const texts = [message.message_id, message.from_user, message.to_user, message.content]
    return texts.every((text) => typeof text === 'string') && Number.isFinite(message.timestamp) ? message : null
  } catch {
    return null // another writer of this topic
  }
}

/** @param {Message} message */
function timeOf({ timestamp }) {
  return new Date(timestamp).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
}

/** `randomUUID` is only for pages of https and localhost. */
function newId() {
  return (
    crypto.randomUUID?.() ??
    Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join('-')
  )
}

let noticeTimer = 0

/**
 * @param {string} text
 * @param {number} [ms] How long it is shown; else until the next one.
 */
function notice(text, ms) {
  const shown = byId('notice', HTMLParagraphElement)
  shown.textContent = text
  shown.hidden = text === ''
  clearTimeout(noticeTimer)
  if (ms !== undefined) noticeTimer = setTimeout(() => notice(''), ms)
}

/** @type {Chat | null} */
let chat = null

/** @param {string} name */
function signIn(name) {
  sessionStorage.setItem('name', name)
  byId('me', HTMLElement).textContent = name
  byId('sign-in', HTMLElement).hidden = true
  byId('chat', HTMLElement).hidden = false
  notice('')
  chat = new Chat(name)
  byId('content', HTMLTextAreaElement).focus()
}

function signOut() {
  chat?.close()
  chat = null
  sessionStorage.removeItem('name')
  byId('chat', HTMLElement).hidden = true
  byId('sign-in', HTMLElement).hidden = false
  byId('name', HTMLInputElement).focus()
}

function send() {
  const content = byId('content', HTMLTextAreaElement)
  if (content.value.trim() === '') return
  chat?.send(content.value)
  content.value = ''
  content.focus()
}

byId('sign-in-form', HTMLFormElement).onsubmit = (event) => {
  event.preventDefault()
  signIn(byId('name', HTMLInputElement).value)
}
byId('person-form', HTMLFormElement).onsubmit = (event) => {
  event.preventDefault()
  const person = byId('person', HTMLInputElement)
  chat?.open(person.value)
  person.value = ''
}
byId('write', HTMLFormElement).onsubmit = (event) => {
  event.preventDefault()
  send()
}
byId('content', HTMLTextAreaElement).onkeydown = (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  send()
}
byId('sign-out', HTMLButtonElement).onclick = signOut
const known = sessionStorage.getItem('name')
if (known === null) byId('name', HTMLInputElement).focus()
else signIn(known)
