// The one message below the bar, with a button where something can be done about it.

const box = document.getElementById('notice');
const [text, button] = box.children;

export function show(message, action) {
  text.textContent = message;
  button.hidden = !action;
  button.textContent = action?.name ?? '';
  button.onclick = action ? () => { hide(); action.run(); } : null;
  box.hidden = false;
}

export function hide() {
  box.hidden = true;
}
