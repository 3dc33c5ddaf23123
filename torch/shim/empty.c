/* torch: what stands for torch's libraries when ours are linked: a name, and nothing in it. */
