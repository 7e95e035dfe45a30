const SVG = 'http://www.w3.org/2000/svg'

/** The element with this id, which the page has. @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`no element ${id}`)
  return found
}

/** Text only where it is another one: selections stay. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** @param {string} id @param {string} text */
export function show(id, text) {
  setText(byId(id), text)
}

/** @param {string} id @param {boolean} isShown */
export function toggle(id, isShown) {
  byId(id).hidden = !isShown
}

/**
 * @param {string} tag @param {string} [className] @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function html(tag, className, ...children) {
  const element = document.createElement(tag)
  if (className) element.className = className
  element.append(...children)
  return element
}

/**
 * @param {string} tag @param {Record<string, string | number>} [attributes] @param {(Node | string)[]} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  element.append(...children)
  return element
}

/** A number that says nothing more in further digits. @param {number} value @returns {string} */
export function round(value) {
  return String(Math.round(value * 10) / 10)
}

/**
 * Makes the children of `parent` those of `items`, in order; what stays keeps its element.
 * @template T
 * @param {Element} parent @param {readonly T[]} items @param {(item: T) => string} keyOf
 * @param {() => HTMLElement} create @param {(element: HTMLElement, item: T) => void} update
 */
export function keyed(parent, items, keyOf, create, update) {
  /** @type {Map<string, HTMLElement>} */
  const before = new Map()
  for (const child of parent.children) if (child instanceof HTMLElement) before.set(child.dataset['key'] ?? '', child)
  items.forEach((item, index) => {
    const key = keyOf(item)
    const element = before.get(key) ?? create()
    before.delete(key)
    element.dataset['key'] = key
    update(element, item)
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null)
  })
  for (const element of before.values()) element.remove()
}
