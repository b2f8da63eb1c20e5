// Every kernel as a browser makes it: a module of which the compiler has nothing to say, and pipelines.

/** Makes modules of all kernels, and pipelines of those that `chosen` picks: what is wrong, and the count. */
export async function make(device, kernels, chosen = () => true) {
  const problems = [];
  let pipelines = 0;
  for (const kernel of kernels) {
    const { name, entry, wgsl, constants } = kernel;
    const module = device.createShaderModule({ code: wgsl });
    const { messages } = await module.getCompilationInfo();
    for (const { type, lineNum, linePos, message } of messages) {
      problems.push(`${name}: ${type} at ${lineNum}:${linePos}: ${message}`);
    }
    for (const set of chosen(kernel) ? constants : []) {
      try {
        await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: entry, constants: set } });
        pipelines += 1;
      } catch (error) {
        problems.push(`${name}, ${JSON.stringify(set)}: ${error.message}`);
      }
    }
  }
  return { problems, pipelines };
}

/** A device with all that its adapter has, and the adapter in words. */
export async function open(gpu) {
  const adapter = await gpu?.requestAdapter();
  if (!adapter) throw new Error('there is no adapter');
  const { vendor, architecture, device: name, description } = adapter.info;
  const limit = 'maxStorageBuffersPerShaderStage';
  const device = await adapter.requestDevice({ requiredLimits: { [limit]: adapter.limits[limit] } });
  return { device, label: [vendor, architecture, name, description].filter(Boolean).join(' ') };
}
