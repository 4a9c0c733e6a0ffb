(() => {
  const dialog = document.getElementById("viewer");
  const canvas = dialog.querySelector("canvas");
  const regions = dialog.querySelector("nav");
  const place = dialog.querySelector("output");
  const opacity = dialog.querySelector("input[type=range]");
  const twin = dialog.querySelector("input[type=checkbox]");
  const buttons = [...document.querySelectorAll("article button[data-view]")];
  let viewer = null;
  let latest = 0;
  let shown = null;
  let layers = [];

  const stored = (number, part) => document.getElementById(`view-${number}-${part}`);

  // the twin is shown alone
  const scoreOpacity = () => (twin.checked ? 0 : Number(opacity.value));

  function looks(number) {
    const gray = { colormap: "gray", cal_min: 0, cal_max: 1 };
    const threshold = Number(stored(number, "score").dataset.threshold);
    return {
      image: gray,
      twin: { ...gray, opacity: Number(twin.checked) },
      score: { colormap: "inferno", opacity: scoreOpacity(), cal_min: threshold, cal_max: 1 },
    };
  }

  function tell({ mm, values }) {
    const score = values[layers.indexOf("score")];
    const [x, y, z] = [...mm].map((value) => Math.round(value));
    place.textContent = `${x}, ${y}, ${z} mm (RAS)${score === undefined ? "" : `, score ${score.value.toFixed(2)}`}`;
  }

  async function start() {
    viewer = new niivue.Niivue({
      isRadiologicalConvention: true, dragAndDropEnabled: false, logLevel: "error", crosshairWidth: 0.5, crosshairGap: 6,
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
    });
    viewer.onLocationChange = tell;
    await viewer.attachToCanvas(canvas);
    viewer.setSliceType(viewer.sliceTypeMultiplanar);
  }

  async function load(number) {
    twin.disabled = stored(number, "twin") === null;
    if (twin.disabled) twin.checked = opacity.disabled = false;
    const look = looks(number);
    const parts = Object.keys(look).filter((part) => stored(number, part) !== null);
    const volumes = [];
    for (const part of parts) {
      const base64 = stored(number, part).textContent.trim();
      volumes.push(await niivue.NVImage.loadFromBase64({ base64, name: `${part}.nii.gz`, ...look[part] }));
    }
    return { parts, volumes };
  }

  function put(number, { parts, volumes }) {
    for (const old of [...viewer.volumes]) viewer.removeVolume(old);
    layers = parts;
    for (const volume of volumes) viewer.addVolume(volume);
    shown = number;
    dialog.dataset.dims = volumes[0].hdr.dims.slice(1, 4).join("x");
    dialog.dataset.volumes = viewer.volumes.length;
  }

  function go(mm) {
    viewer.scene.crosshairPos = mm === undefined ? [0.5, 0.5, 0.5] : viewer.mm2frac(mm.split(" ").map(Number), 0, true);
    viewer.drawScene();
    viewer.createOnLocationChange();
  }

  function list(number) {
    const own = buttons.filter((button) => button.dataset.view === number && button.dataset.mm);
    regions.replaceChildren(...own.map((button) => {
      const copy = button.cloneNode(true);
      copy.addEventListener("click", () => open(copy));
      return copy;
    }));
  }

  async function open(button) {
    const turn = ++latest;
    const number = button.dataset.view;
    dialog.dataset.state = "loading";
    dialog.querySelector("h2").textContent = stored(number, "image").closest("article").querySelector("h3").textContent;
    if (!dialog.open) dialog.showModal();
    try {
      if (viewer === null) await start();
      if (shown !== number) {
        const loaded = await load(number);
        if (turn !== latest) return;
        put(number, loaded);
        list(number);
      }
      go(button.dataset.mm ?? regions.querySelector("button")?.dataset.mm);
      dialog.dataset.state = "ready";
    } catch (error) {
      dialog.dataset.state = `failed: ${error}`;
      throw error;
    }
  }

  function fade(part, value) {
    const index = layers.indexOf(part);
    if (viewer !== null && index > 0) viewer.setOpacity(index, value);
  }

  // the patient's left is on the right of the picture
  const steps = {
    ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1],
  };
  canvas.addEventListener("keydown", (event) => {
    if (viewer === null || shown === null || !(event.key in steps)) return;
    event.preventDefault();
    viewer.moveCrosshairInVox(...steps[event.key]);
  });
  opacity.addEventListener("input", () => fade("score", scoreOpacity()));
  twin.addEventListener("change", () => {
    opacity.disabled = twin.checked;
    fade("twin", Number(twin.checked));
    fade("score", scoreOpacity());
  });
  for (const button of buttons) button.addEventListener("click", () => open(button));
  const named = buttons.find((button) => location.hash === `#view-${button.dataset.view}`);
  if (named !== undefined) open(named);
})();
