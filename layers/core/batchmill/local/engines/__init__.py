"""Engines that run on this machine: MiniLM, a small real model, and a scripted one for rehearsing faults."""
