// Files that come in, chosen or dropped, and files that go out.

export function save(name, contents, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(contents instanceof Blob ? contents : new Blob([contents], { type }));
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Calls `take` with the files that are chosen; the same ones may be chosen again. */
export function onChoose(input, take) {
  input.addEventListener('change', () => {
    if (input.files.length > 0) take([...input.files]);
    input.value = '';
  });
}

/** Calls `take` with the files that are dropped anywhere on the page. */
export function onDrop(take) {
  const mark = (isOver) => document.body.classList.toggle('dropping', isOver);
  document.addEventListener('dragover', (event) => { event.preventDefault(); mark(true); });
  document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    if (event.dataTransfer.files.length > 0) take([...event.dataTransfer.files]);
  });
}
