-- Health check of a DittoServer for Argo CD. `obj` is the object; the result is a status and a message.
-- docs/gitops.md explains each status.

local function result(status, message)
  return { status = status, message = message or "" }
end

local function condition(kind)
  for _, c in ipairs((obj.status or {}).conditions or {}) do
    if c.type == kind then
      return c
    end
  end
  return {}
end

local metadata, status = obj.metadata or {}, obj.status or {}

if metadata.deletionTimestamp ~= nil then
  return result("Progressing", condition("Progressing").message or "It is being deleted")
end
-- The status is of an older generation, or the operator has not observed the object yet.
if (status.observedGeneration or -1) < (metadata.generation or 0) then
  return result("Progressing", "Waiting for the operator")
end

local ready, progressing, stalled = condition("Ready"), condition("Progressing"), condition("Stalled")
local available = condition("Available")

-- The server may still work, but it needs manual action. kstatus (Flux) reports Failed for the same condition.
if stalled.status == "True" then
  return result("Degraded", stalled.message)
end
-- A pause does not make a server healthy: its pod may crash meanwhile.
if progressing.reason == "Paused" and available.status == "False" then
  return result("Degraded", available.message)
end
if progressing.reason == "Paused" then
  return result("Suspended", progressing.message)
end
if ready.status == "True" then
  if status.phase == "Stopped" then
    return result("Suspended", ready.message)
  end
  return result("Healthy", ready.message)
end
-- False: not ready yet. Unknown: something could not be read; the operator retries.
return result("Progressing", ready.message or "Waiting for the operator")
