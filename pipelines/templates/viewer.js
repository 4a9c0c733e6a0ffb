(() => {
  const dialog = document.getElementById("viewer");
  const opacity = dialog.querySelector("input");
  let viewer = null;
  let latest = 0;

  const volume = (number, part, look) => niivue.NVImage.loadFromBase64({
    base64: document.getElementById(`view-${number}-${part}`).textContent.trim(),
    name: `${part}.nii.gz`,
    ...look,
  });

  async function show(button) {
    const turn = ++latest;
    dialog.dataset.state = "loading";
    dialog.querySelector("h2").textContent = button.closest("article").querySelector("h3").textContent;
    if (!dialog.open) dialog.showModal();
    try {
      if (viewer === null) {
        viewer = new niivue.Niivue({ isRadiologicalConvention: true, dragAndDropEnabled: false, logLevel: "error" });
        await viewer.attachToCanvas(dialog.querySelector("canvas"));
        viewer.setSliceType(viewer.sliceTypeMultiplanar);
      }
      const threshold = Number(button.dataset.threshold);
      const image = await volume(button.dataset.view, "image", { colormap: "gray" });
      const score = await volume(button.dataset.view, "score",
        { colormap: "inferno", opacity: Number(opacity.value), cal_min: threshold, cal_max: 1 });
      if (turn !== latest) return;
      for (const old of [...viewer.volumes]) viewer.removeVolume(old);
      viewer.addVolume(image);
      viewer.addVolume(score);
      dialog.dataset.dims = image.hdr.dims.slice(1, 4).join("x");
      dialog.dataset.volumes = viewer.volumes.length;
      dialog.dataset.state = "ready";
    } catch (error) {
      dialog.dataset.state = `failed: ${error}`;
      throw error;
    }
  }

  opacity.addEventListener("input", () => {
    if (viewer !== null && viewer.volumes.length > 1) viewer.setOpacity(1, Number(opacity.value));
  });
  const buttons = [...document.querySelectorAll("button[data-view]")];
  for (const button of buttons) button.addEventListener("click", () => show(button));
  const named = buttons.find((button) => location.hash === `#view-${button.dataset.view}`);
  if (named !== undefined) show(named);
})();
